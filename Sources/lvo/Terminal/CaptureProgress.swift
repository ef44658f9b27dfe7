import Experiments
import Files

/// The progress of a capture: a line of progress, or from a worker to the process that started it lines of JSON.
final class CaptureProgress {
    private let emitsEvents: Bool
    private var progress: Progress?

    init(emitsEvents: Bool) { self.emitsEvents = emitsEvents }

    /// Of several processes that begin, the first tells what there is to do.
    func show(_ event: Experiments.Capture.Event) {
        if emitsEvents { return print(event.json.serialized()) }
        switch event {
        case .began(let done, let files, let left):
            if progress != nil { return }
            if done > 0 { note("\(done) of \(files) files are there") }
            progress = Progress(total: left)
        case .drew(let file, let files): progress?.advance("file \(file + 1) of \(files)")
        case .waiting(let files): progress?.show("other processes are at the last \(files) files")
        }
    }

    func close() { progress?.close() }
}

extension Experiments.Capture.Event {
    var json: JSON {
        switch self {
        case .began(let done, let files, let left):
            ["event": "began", "done": .integer(done), "files": .integer(files), "left": .integer(left)]
        case .drew(let file, let files): ["event": "drew", "file": .integer(file), "files": .integer(files)]
        case .waiting(let files): ["event": "waiting", "files": .integer(files)]
        }
    }

    /// nil for what is no such line.
    init?(_ json: JSON) {
        func number(_ name: String) -> Int { json[name]?.int ?? 0 }
        switch json["event"]?.string {
        case "began": self = .began(filesDone: number("done"), files: number("files"), picturesLeft: number("left"))
        case "drew": self = .drew(file: number("file"), of: number("files"))
        case "waiting": self = .waiting(files: number("files"))
        default: return nil
        }
    }
}
