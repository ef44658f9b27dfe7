import ArgumentParser
import Files
import Foundation
import Pictures

/// Pictures in the terminal, for people on ssh.
struct PreviewOptions: ParsableArguments {
    @Flag(
        help: """
            Show pictures in the terminal too, on standard error: by kitty's or sixel graphics where the terminal is known \
            for them, else in coloured half blocks.
            """)
    var preview = false

    func show(_ pictures: [Bitmap]) throws {
        guard preview else { return }
        let mode = TerminalPreview.mode(environment: RuntimeOptions.environment)
        let text = try TerminalPreview.render(pictures, mode: mode, columns: Self.columns)
        Output.error(text)
    }

    /// A gallery's features with dreams: their words and measures, three examples, and three results of the dream that
    /// reached furthest.
    func show(gallery page: String) throws {
        guard preview else { return }
        let folder = (page as NSString).deletingLastPathComponent
        let index = try JSON.read(folder + "/data/index.json")
        let columns = index["columns"]
        for (row, dreams) in (columns?["dreams"]?.array ?? []).enumerated() where dreams.array?.isEmpty == false {
            guard let site = columns?["site"]?.array?[row].int, let number = columns?["index"]?.array?[row].int,
                let name = index["sites"]?.array?[site].string
            else { continue }
            try show(feature: JSON.read("\(folder)/data/\(name)/\(number).json"), folder: folder)
        }
    }

    private func show(feature: JSON, folder: String) throws {
        func reach(_ dream: JSON) -> Double { dream["measures"]?["reach"]?.double ?? -1 }
        let name = feature["space"]?.string == "channels" ? "channel" : "feature"
        var facts = ["\(name) \(feature["index"]?.int ?? 0)"]
        facts += feature["words"]?.array?.compactMap(\.string) ?? []
        let best = feature["dreams"]?.array?.max { reach($0) < reach($1) }
        if let best { facts.append(String(format: "reach %.2f at t = %d", reach(best), best["timestep"]?.int ?? 0)) }
        Output.error(facts.joined(separator: " · ") + "\n")
        let examples = feature["examples"]?.array?.prefix(3).compactMap { $0["picture"]?.string } ?? []
        let results = best?["pictures"]?.array?.prefix(3).compactMap(\.string) ?? []
        try show((examples + results).map { try PNG.read("\(folder)/\($0)").bitmap })
    }

    private static var columns: Int {
        var size = winsize()
        if ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 { return Int(size.ws_col) }
        return RuntimeOptions.environment["COLUMNS"].flatMap { Int($0) }.map { max(8, $0) } ?? 80
    }
}
