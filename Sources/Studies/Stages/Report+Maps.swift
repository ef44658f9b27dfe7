import Files
import Pictures
import Reports
import Tensors

/// The gallery's heat maps.
extension Report {
    func addMaps(of subject: Subject, to page: inout FeaturePage) throws {
        guard study.settings.makesMaps, let maps = try MapStage(study: study).maps(subject) else { return }
        page.mapTimesteps = try study.timesteps(subject)
        // A feature's 0 means that it is off; a channel's means nothing.
        let lowest: Float? = subject.site.space == .features ? 0 : nil
        page.exampleMaps = try heatMaps(maps.examples, lowest, "pictures/\(subject.path)/maps-examples.png")
        page.dreamMaps = try heatMaps(maps.dreams, lowest, "pictures/\(subject.path)/maps-dreams.png")
    }

    /// - Parameter maps: `[T, B, h, w]`; every time step has a range of its own.
    private func heatMaps(_ maps: Tensor, _ lowest: Float?, _ name: String) throws -> HeatMaps? {
        guard maps.shape.count == 4 else { return nil }
        let (steps, count, size) = (maps.shape[0], maps.shape[1], maps.shape[2] * maps.shape[3])
        let values = maps.array
        let rows = (0..<steps).map { Array(values[$0 * count * size..<($0 + 1) * count * size]) }
        let ranges = rows.map { HeatMaps.range($0, lowest: lowest) }
        let columns = (0..<count).map { picture in
            (0..<steps).map { step in
                HeatMaps.bitmap(
                    Array(rows[step][picture * size..<(picture + 1) * size]), width: maps.shape[3], range: ranges[step])
            }
        }
        try OutputFile.makeFolder(FileSystem.parent("\(folder)/\(name)"))
        try PNG.write(DreamStage.sheet(columns: columns), to: "\(folder)/\(name)")
        return HeatMaps(picture: name, ranges: ranges)
    }
}
