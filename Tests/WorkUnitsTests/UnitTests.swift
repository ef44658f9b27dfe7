import Files
import Foundation
import Synchronization
import Testing
import TestSupport

import WorkUnits

/// A stage whose units write their own number's square and a file of some size.
struct SquareStage: WorkStage {
    let name = "squares"
    var count = 12
    var version = 1
    /// Called at the start of every computation.
    var before: @Sendable (Int) throws -> Void = { _ in }

    func units() throws -> [WorkUnit<Int>] {
        (0..<count).map {
            WorkUnit(id: "row/\($0)", key: ["version": .integer(version), "number": .integer($0)], payload: $0)
        }
    }

    func compute(_ unit: WorkUnit<Int>, into folder: String, partial: PartialUnit) throws {
        let number = unit.payload
        try before(number)
        try (["square": .integer(number * number), "version": .integer(version)] as JSON)
            .write(to: folder + "/square.json", overwrite: false)
        try Data(repeating: UInt8(number), count: 5000).write(to: URL(fileURLWithPath: folder + "/bytes.bin"))
    }
}

@Suite struct UnitTests {
    let folder: TemporaryFolder
    var study: String { folder.path }

    init() throws { folder = try TemporaryFolder() }

    /// Runs a stage; returns which units were computed.
    @discardableResult func run(_ stage: SquareStage, shard: Shard = .whole, in study: String? = nil) throws -> [String] {
        let computed = Mutex<[String]>([])
        let runner = try StageRunner(study: study ?? self.study, shard: shard) { event in
            if case .unit(_, let id, _, _, _, _) = event { computed.withLock { $0.append(id) } }
        }
        _ = try runner.run(stage)
        return computed.withLock { $0 }
    }

    @Test func onlyWhatIsMissingOrChangedIsDone() throws {
        #expect(try run(SquareStage()).count == 12)
        #expect(try run(SquareStage()).isEmpty)
        try FileManager.default.removeItem(atPath: study + "/squares/row/3")
        #expect(try run(SquareStage(count: 14)) == ["row/3", "row/12", "row/13"])
        #expect(try run(SquareStage(count: 5, version: 2)) == (0..<5).map { "row/\($0)" })
        let record = try JSON.read(study + "/squares/row/4/square.json")
        #expect(record == ["square": 16, "version": 2])
        #expect(try FileManager.default.contentsOfDirectory(atPath: study + "/claims").isEmpty)
    }

    @Test(arguments: ["flip", "cut", "remove", "record"])
    func damagedResultsAreFoundAndRedone(how: String) throws {
        try run(SquareStage())
        let whole = try contents(study)
        let file = study + "/squares/row/7/" + (how == "record" ? "unit.json" : "bytes.bin")
        var bytes = try Data(contentsOf: URL(fileURLWithPath: file))
        switch how {
        case "flip": bytes[4321] ^= 1
        case "cut", "record": bytes = bytes.prefix(100)
        default: try FileManager.default.removeItem(atPath: file)
        }
        if how != "remove" { try bytes.write(to: URL(fileURLWithPath: file)) }
        #expect(try run(SquareStage()) == ["row/7"])
        #expect(try contents(study) == whole)
    }

    /// Every bit of a unit's files, its own record's too.
    @Test func everyFlippedBitIsFound() throws {
        try run(SquareStage(count: 1))
        let store = UnitStore(study: study, stage: "squares")
        let unit = try SquareStage(count: 1).units()[0]
        for name in ["unit.json", "square.json"] {
            let url = URL(fileURLWithPath: "\(store.folder(unit.id))/\(name)")
            let whole = try Data(contentsOf: url)
            for bit in 0..<whole.count * 8 {
                var damaged = whole
                damaged[bit / 8] ^= 1 << (bit % 8)
                try damaged.write(to: url)
                guard case .damaged = store.state(of: unit) else {
                    Issue.record("\(name): bit \(bit) was not missed")
                    continue
                }
            }
            try whole.write(to: url)
        }
        #expect(store.state(of: unit) == .done)
    }

    @Test func aStrayFileAndAStrangersRecordAreDamage() throws {
        try run(SquareStage())
        let whole = try contents(study)
        try Data([1]).write(to: URL(fileURLWithPath: study + "/squares/row/3/stray"))
        try FileManager.default.removeItem(atPath: study + "/squares/row/5/unit.json")
        try FileManager.default.removeItem(atPath: study + "/squares/row/6")
        try FileManager.default.copyItem(atPath: study + "/squares/row/7", toPath: study + "/squares/row/6")
        #expect(try run(SquareStage()) == ["row/3", "row/5", "row/6"])
        #expect(try contents(study) == whole)
    }

    @Test func failuresAreRecordedApartAndTriedAgain() throws {
        let failing = SquareStage { if $0 == 5 { throw SimpleFailure(.badData, "unit five is bad") } }
        let runner = try StageRunner(study: study)
        #expect(try runner.run(failing) == 1)
        #expect(FailureRecord.error(study: study, stage: "squares", unit: "row/5") == "unit five is bad")
        #expect(!FileManager.default.fileExists(atPath: study + "/squares/row/5"))
        #expect(try run(SquareStage()) == ["row/5"])
        #expect(FailureRecord.error(study: study, stage: "squares", unit: "row/5") == nil)
    }

    @Test func aFullDiskStopsAndLeavesFinishedUnits() throws {
        let full = SquareStage { if $0 == 5 { throw SimpleFailure(.cannotWrite, "no space left on device") } }
        let runner = try StageRunner(study: study)
        let failure = #expect(throws: SimpleFailure.self) { try runner.run(full) }
        #expect(failure?.kind == .cannotWrite)
        let rows = try FileManager.default.contentsOfDirectory(atPath: study + "/squares/row").sorted()
        #expect(rows == ["0", "1", "2", "3", "4"])
        #expect(try run(SquareStage()).count == 7)
    }

    @Test func aSignalStopsBetweenUnits() throws {
        let stop = StopFlag()
        let runner = try StageRunner(study: study, stop: stop)
        let failure = #expect(throws: SimpleFailure.self) {
            try runner.run(SquareStage { if $0 == 2 { stop.raise() } })
        }
        #expect(failure?.kind == .stoppedEarly)
        // The unit under way was finished.
        #expect(try run(SquareStage()).first == "row/3")
    }

    @Test(arguments: [2, 3, 7, 20])
    func anySplitGivesTheSameBytes(shards: Int) throws {
        try run(SquareStage())
        let split = try TemporaryFolder()
        for index in (0..<shards).reversed() {
            let mine = try run(SquareStage(), shard: Shard("\(index)/\(shards)"), in: split.path)
            #expect(abs(mine.count * shards - 12) < shards || mine.count <= 1)
        }
        #expect(try contents(split.path) == contents(study))
    }

    @Test func manyRunnersShareOneFolder() async throws {
        let counts = Tally()
        let study = study
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<4 {
                group.addTask {
                    let stage = SquareStage(count: 40) { number in
                        counts.add(number)
                        usleep(1000)
                    }
                    _ = try StageRunner(study: study).run(stage)
                }
            }
            try await group.waitForAll()
        }
        #expect(counts.values == Dictionary(uniqueKeysWithValues: (0..<40).map { ($0, 1) }))
        let alone = try TemporaryFolder()
        try run(SquareStage(count: 40), in: alone.path)
        #expect(try contents(alone.path) == contents(study))
    }

    @Test func whatADeadProcessLeftIsTakenOver() throws {
        try FileManager.default.createDirectory(atPath: study + "/claims", withIntermediateDirectories: true)
        try FileManager.default.createDirectory(
            atPath: study + "/squares/row/.3.elsewhere-1.tmp", withIntermediateDirectories: true)
        // A process of this host with that number may live, but it did not start at the beginning of time.
        let dead: JSON = ["host": .string(Host.name), "process": 1, "started": -1]
        try dead.write(to: study + "/claims/squares~row~3.json", overwrite: false)
        #expect(try run(SquareStage()).count == 12)
        #expect(try FileManager.default.contentsOfDirectory(atPath: study + "/squares/row").allSatisfy { !$0.hasPrefix(".") })
    }

    @Test func aLivingClaimIsRespected() throws {
        let owner = try Claims(study: study)
        let other = try Claims(study: study)
        #expect(try owner.take(stage: "s", unit: "a/b"))
        #expect(try !other.take(stage: "s", unit: "a/b"))
        #expect(Claims.running(study: study, stage: "s") == 1)
        owner.release(stage: "s", unit: "a/b")
        #expect(try other.take(stage: "s", unit: "a/b"))
    }
}

@Suite struct ShardTests {
    @Test func schedulersAreUnderstood() throws {
        #expect(try Shard(environment: [:]) == nil)
        let array = [
            "SLURM_ARRAY_TASK_ID": "7", "SLURM_ARRAY_TASK_COUNT": "4", "SLURM_ARRAY_TASK_MIN": "1",
            "SLURM_ARRAY_TASK_MAX": "7", "SLURM_ARRAY_TASK_STEP": "2",
        ]
        #expect(try Shard(environment: array) == Shard("3/4"))
        for (place, id) in ["3", "5", "7", "9"].enumerated() {
            let other = ["SLURM_ARRAY_TASK_MIN": "3", "SLURM_ARRAY_TASK_MAX": "9", "SLURM_ARRAY_TASK_ID": id]
            #expect(try Shard(environment: array.merging(other) { $1 }) == Shard("\(place)/4"))
        }
        // --array=1,3,4: the second of four numbers would be nobody's.
        for id in ["1", "3", "4"] {
            let gaps = [
                "SLURM_ARRAY_TASK_ID": id, "SLURM_ARRAY_TASK_COUNT": "3", "SLURM_ARRAY_TASK_MIN": "1",
                "SLURM_ARRAY_TASK_MAX": "4", "SLURM_ARRAY_TASK_STEP": "1",
            ]
            let failure = #expect(throws: SimpleFailure.self) { try Shard(environment: gaps) }
            #expect(failure?.kind == .usage)
        }
        #expect(try Shard(environment: ["JOB_COMPLETION_INDEX": "2", "LVO_SHARDS": "5"]) == Shard("2/5"))
        #expect(throws: SimpleFailure.self) { try Shard(environment: ["JOB_COMPLETION_INDEX": "2"]) }
    }

    @Test(arguments: ["4/4", "-1/3", "1", "a/b", "1/0", "1/2/3", ""])
    func nonsenseIsRefused(text: String) {
        let failure = #expect(throws: SimpleFailure.self) { try Shard(text) }
        #expect(failure?.kind == .usage)
    }
}
