import Files
import Foundation
import WorkUnits

/// How far the stages of a study are.
public struct StudyStatus: Sendable {
    public struct StageStatus: Sendable {
        public let stage: String
        public var units = 0
        public var done = 0
        public var failed = 0
        /// Units that processes work on at this moment.
        public var running = 0
        /// What the stage waits for; then its units are not known.
        public var waitsFor: String?
        /// Until the units that are left are done, at the present number of processes; nil if unknown.
        public var secondsLeft: Double?

        public var left: Int { units - done }
    }

    public let stages: [StageStatus]

    /// Compares sizes of results, not their contents: it is asked for often. A run compares contents. Writes nothing.
    ///
    /// - Throws: a `Failure` other than a stage's waiting.
    public init(_ study: Study) throws {
        let seconds = UnitLog.meanSeconds(study: study.folder)
        stages = try study.stages.map { stage in
            try Self.status(of: stage, study.folder, seconds: seconds[stage.name])
        }
    }

    private static func status<Stage: WorkStage>(
        of stage: Stage, _ study: String, seconds: Double?
    ) throws -> StageStatus {
        var status = StageStatus(stage: stage.name)
        status.running = Claims.running(study: study, stage: stage.name)
        let units: [WorkUnit<Stage.Payload>]
        do {
            units = try stage.units()
        } catch let failure as any Failure where failure.kind == .stoppedEarly {
            status.waitsFor = failure.description
            return status
        }
        let store = UnitStore(study: study, stage: stage.name)
        for unit in units {
            status.units += 1
            if store.state(of: unit, verify: false) == .done {
                status.done += 1
            } else if FailureRecord.error(study: study, stage: stage.name, unit: unit.id) != nil {
                status.failed += 1
            }
        }
        status.secondsLeft = seconds.map { $0 * Double(status.left) / Double(max(1, status.running)) }
        return status
    }

    public var json: JSON {
        .array(
            stages.map { status in
                [
                    "stage": .string(status.stage), "units": .integer(status.units), "done": .integer(status.done),
                    "failed": .integer(status.failed), "left": .integer(status.left),
                    "running": .integer(status.running), "waits_for": status.waitsFor.map(JSON.string) ?? .null,
                    "seconds_left": status.secondsLeft.map { JSON.float(Float($0)) } ?? .null,
                ]
            })
    }
}
