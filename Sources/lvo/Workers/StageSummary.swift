import WorkUnits

/// One account of stages of what several workers tell, each of which knows only what it did itself.
struct StageSummary {
    /// Units that failed, in all stages.
    var failed: Int { stages.values.reduce(0) { $0 + $1.failed.count } }

    /// Whether any did, even if another worker then did them.
    private(set) var hasFailures = false

    private let workers: Int
    private var stages: [String: Stage] = [:]
    private var damaged: Set<String> = []

    private struct Stage {
        let total: Int
        let doneBefore: Int
        var done: Set<String> = []
        var failed: Set<String> = []
        var seconds = 0.0
        var finishedBy: Set<Int> = []
    }

    init(workers: Int) { self.workers = workers }

    /// The event as it is for all workers together; nil if it is known already or of one worker alone.
    mutating func event(_ event: StageEvent, of worker: Int) -> StageEvent? {
        switch event {
        case .started(let name, let done, let left):
            guard stages[name] == nil else { return nil }
            stages[name] = Stage(total: done + left, doneBefore: done)
            return event
        case .unit(let name, let id, _, _, let seconds, _):
            guard var stage = stages[name], stage.done.insert(id).inserted else { return nil }
            stage.seconds += seconds
            stage.failed.remove(id)
            stages[name] = stage
            let done = stage.doneBefore + stage.done.count
            let mean = stage.seconds / Double(stage.done.count) / Double(workers)
            return .unit(
                stage: name, id: id, done: done, of: stage.total, seconds: seconds,
                remaining: mean * Double(max(0, stage.total - done)))
        case .failed(let name, let id, _):
            hasFailures = true
            return stages[name]?.failed.insert(id).inserted == true ? event : nil
        case .damaged(let path): return damaged.insert(path).inserted ? event : nil
        case .waiting: return nil
        case .finished(let name, _, _):
            guard var stage = stages[name], stage.finishedBy.insert(worker).inserted else { return nil }
            stages[name] = stage
            guard stage.finishedBy.count == workers else { return nil }
            return .finished(stage: name, computed: stage.done.count, failed: stage.failed.count)
        }
    }
}
