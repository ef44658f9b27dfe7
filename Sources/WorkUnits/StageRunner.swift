import Files
import Foundation

/// What happens while a stage runs, for whoever shows progress.
public enum StageEvent: Sendable {
    case started(stage: String, done: Int, left: Int)
    /// - seconds: what this unit took; remaining: an estimate for the stage's units still to be done by this process.
    case unit(stage: String, id: String, done: Int, of: Int, seconds: Double, remaining: Double)
    case failed(stage: String, id: String, error: String)
    case damaged(path: String)
    case waiting(stage: String, units: Int)
    case finished(stage: String, computed: Int, failed: Int)
}

/// Does the units of stages that are not done yet.
public struct StageRunner {
    public let study: String
    public let shard: Shard
    public let stop: StopFlag
    public let report: (StageEvent) -> Void
    private let claims: Claims
    private let log: UnitLog

    /// - Throws: `SimpleFailure(.cannotWrite)` if the study's folder cannot be written.
    public init(
        study: String, shard: Shard = .whole, stop: StopFlag = StopFlag(), report: @escaping (StageEvent) -> Void = { _ in }
    ) throws {
        self.study = study
        self.shard = shard
        self.stop = stop
        self.report = report
        claims = try Claims(study: study)
        log = try UnitLog(study: study)
    }

    /// Does what is missing of this shard's units, and returns how many failed. Units that other processes are at are
    /// waited for; those that failed are recorded apart and do not keep the others from being done.
    ///
    /// - Throws: `SimpleFailure(.stoppedEarly)` after a signal; at once what would fail every unit (`.cannotWrite`,
    ///   `.outOfMemory`).
    public func run<Stage: WorkStage>(_ stage: Stage) throws -> Int {
        let store = UnitStore(study: study, stage: stage.name)
        let all = try stage.units()
        let units = stage.isSharded ? shard.select(all) : all
        let left = units.filter { unit in
            let state = store.state(of: unit)
            if case .damaged(let path) = state { report(.damaged(path: path)) }
            return state != .done
        }
        report(.started(stage: stage.name, done: units.count - left.count, left: left.count))
        var progress = Progress(total: units.count, done: units.count - left.count)
        try SharedWork.run(left, wait: { try wait(stage: stage.name, units: $0) }) {
            try attempt($0, stage, store, &progress)
        }
        report(.finished(stage: stage.name, computed: progress.computed, failed: progress.failed))
        return progress.failed
    }

    private struct Progress {
        let total: Int
        var done: Int
        var computed = 0
        var failed = 0
        var seconds = 0.0
    }

    /// Whether the unit is dealt with: done here or by another process, or failed. False if another is at it.
    private func attempt<Stage: WorkStage>(
        _ unit: WorkUnit<Stage.Payload>, _ stage: Stage, _ store: UnitStore, _ progress: inout Progress
    ) throws -> Bool {
        if stop.isRaised { throw Self.stopped }
        guard try claims.take(stage: stage.name, unit: unit.id) else { return false }
        defer { claims.release(stage: stage.name, unit: unit.id) }
        // Between the first look and the claim another process may have done it.
        if store.state(of: unit) == .done {
            progress.done += 1
            return true
        }
        let start = ContinuousClock.now
        do {
            let partial = PartialUnit(study: study, stage: stage.name, unit: unit, stop: stop)
            try store.produce(unit) { try stage.compute(unit, into: $0, partial: partial) }
            partial.remove()
            FailureRecord.remove(study: study, stage: stage.name, unit: unit.id)
        } catch let failure as any Failure where Self.concernsAllUnits(failure.kind) {
            throw failure
        } catch {
            progress.failed += 1
            try FailureRecord.write(error, study: study, stage: stage.name, unit: unit)
            report(.failed(stage: stage.name, id: unit.id, error: "\(error)"))
            return true
        }
        let seconds = (ContinuousClock.now - start).inSeconds
        progress.done += 1
        progress.computed += 1
        progress.seconds += seconds
        log.add(stage: stage.name, unit: unit.id, seconds: seconds)
        let remaining = progress.seconds / Double(progress.computed) * Double(progress.total - progress.done)
        report(
            .unit(
                stage: stage.name, id: unit.id, done: progress.done, of: progress.total, seconds: seconds,
                remaining: remaining))
        return true
    }

    private static func concernsAllUnits(_ kind: FailureKind) -> Bool {
        [.cannotWrite, .stoppedEarly, .outOfMemory].contains(kind)
    }

    /// Other processes have the rest; looks again in a moment.
    private func wait(stage: String, units: Int) throws {
        report(.waiting(stage: stage, units: units))
        try SharedWork.pause(stop.check)
    }

    public static let stopped = SimpleFailure(.stoppedEarly, "stopped; run the same command again to continue")
}
