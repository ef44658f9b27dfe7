import Files
import WorkUnits

/// Events as lines of JSON: for programs on `--json`, and from a worker to the process that started it.
extension StageEvent {
    var json: JSON {
        switch self {
        case .started(let stage, let done, let left):
            ["event": "stage", "stage": .string(stage), "done": .integer(done), "left": .integer(left)]
        case .unit(let stage, let id, let done, let total, let seconds, let remaining):
            [
                "event": "unit", "stage": .string(stage), "unit": .string(id), "done": .integer(done),
                "of": .integer(total), "seconds": .number(seconds), "seconds_left": .number(remaining),
            ]
        case .failed(let stage, let id, let error):
            ["event": "failed", "stage": .string(stage), "unit": .string(id), "error": .string(error)]
        case .damaged(let path): ["event": "damaged", "path": .string(path)]
        case .waiting(let stage, let units):
            ["event": "waiting", "stage": .string(stage), "units": .integer(units)]
        case .finished(let stage, let computed, let failed):
            [
                "event": "finished", "stage": .string(stage), "computed": .integer(computed), "failed": .integer(failed),
            ]
        }
    }

    /// nil for what is no such line.
    init?(_ json: JSON) {
        func text(_ name: String) -> String { json[name]?.string ?? "" }
        func number(_ name: String) -> Int { json[name]?.int ?? 0 }
        func seconds(_ name: String) -> Double { json[name]?.double ?? 0 }
        switch json["event"]?.string {
        case "stage": self = .started(stage: text("stage"), done: number("done"), left: number("left"))
        case "unit":
            self = .unit(
                stage: text("stage"), id: text("unit"), done: number("done"), of: number("of"),
                seconds: seconds("seconds"), remaining: seconds("seconds_left"))
        case "failed": self = .failed(stage: text("stage"), id: text("unit"), error: text("error"))
        case "damaged": self = .damaged(path: text("path"))
        case "waiting": self = .waiting(stage: text("stage"), units: number("units"))
        case "finished":
            self = .finished(stage: text("stage"), computed: number("computed"), failed: number("failed"))
        default: return nil
        }
    }
}
