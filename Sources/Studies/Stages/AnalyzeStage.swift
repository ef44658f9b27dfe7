import Files
import WorkUnits

/// The time-step analysis of all generations. One unit per site.
struct AnalyzeStage: WorkStage {
    let study: Study
    let name = StageName.analysis.rawValue
    let isSharded = StageName.analysis.isSharded

    func units() throws -> [WorkUnit<Site>] {
        let key = try key()
        return study.sites.map { WorkUnit(id: $0.path, key: key, payload: $0) }
    }

    func unit(_ site: Site) throws -> WorkUnit<Site> { WorkUnit(id: site.path, key: try key(), payload: site) }

    private func key() throws -> JSON {
        [
            "version": 2, "inputs": .string(try CaptureStage(study: study).fingerprint()),
            "top_k": .integer(study.settings.topK),
            "peak_separation": .integer(study.settings.peakSeparation), "peaks": .integer(study.settings.peakLimit),
        ]
    }

    func compute(_ unit: WorkUnit<Site>, into folder: String, partial: PartialUnit) throws {
        let site = unit.payload
        let capture = CaptureStage(study: study)
        try requireAll(capture)
        var analysis: TimestepAnalysis?
        var generation = 0
        for prompt in study.prompts {
            let (activations, timesteps) = try capture.recorded(prompt, site)
            let size = activations.shape[1] * activations.shape[2]
            var running = analysis ?? TimestepAnalysis(
                channels: activations.shape[2], timesteps: timesteps, topK: study.settings.topK,
                countsZero: site.space == .channels)
            // Otherwise the running value would be copied at the first change to it.
            analysis = nil
            let values = activations.floats()
            values.withUnsafeBufferPointer { buffer in
                for local in 0..<activations.shape[0] {
                    let part = UnsafeBufferPointer(rebasing: buffer[local * size..<(local + 1) * size])
                    running.add(generation: generation, activations: part)
                    generation += 1
                }
            }
            analysis = running
        }
        guard let analysis else { throw SimpleFailure(.badData, "\(study.folder): nothing was captured") }
        try SiteAnalysis.write(
            analysis, peakSeparation: study.settings.peakSeparation, peakLimit: study.settings.peakLimit, to: folder)
    }

    /// - Throws: `SimpleFailure(.stoppedEarly)` if pictures are missing: other shards may still be drawing them.
    private func requireAll(_ capture: CaptureStage) throws {
        let store = UnitStore(study: study.folder, stage: capture.name)
        let missing = try capture.units().filter { store.state(of: $0) != .done }.count
        guard missing == 0 else {
            throw SimpleFailure(
                .stoppedEarly,
                "\(study.folder): \(missing) of \(study.prompts.count) prompts are not captured; "
                    + "run lvo study \(StageName.capture.command), all shards of it, and then this again")
        }
    }
}
