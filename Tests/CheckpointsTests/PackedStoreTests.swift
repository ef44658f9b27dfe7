import Checkpoints
import Dispatch
import Files
import Foundation
import Synchronization
import TestSupport
import Testing

/// The cache of packed weights: whatever happens to its files, what is read is what was written.
@Suite struct PackedStoreTests {
    private let folder: TemporaryFolder
    private let warnings = Warnings()

    private final class Warnings: Sendable {
        let texts = Mutex<[String]>([])
        var all: [String] { texts.withLock { $0 } }
    }

    init() throws { folder = try TemporaryFolder() }

    private static let values = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 2_654_435_761 >> 11) }

    private func store(_ path: String? = nil, limit: Int = .max) -> PackedStore {
        PackedStore(folder: path ?? folder.path, limit: limit) { [warnings] text in
            warnings.texts.withLock { $0.append(text) }
        }
    }

    private static func inTurn(_ count: Int, _ body: @Sendable (Int) -> Void) { for index in 0..<count { body(index) } }

    /// Two sections of a key's file, made if they are not there, and whether they were.
    private func read(_ key: JSON, _ store: PackedStore) throws -> (sections: [[UInt8]?], wasMade: Bool)? {
        var wasMade = false
        let file = try store.file(key, about: ["network": key], size: 300_000) { writer in
            wasMade = true
            for (name, bytes) in [("a", Self.values[..<7]), ("b", Self.values[...])] {
                try bytes.withUnsafeBytes { try writer.add(name, $0, parallel: Self.inTurn) }
            }
        }
        return file.map { file in
            (["a", "b"].map { file.section($0, parallel: Self.inTurn).map { Array($0.bytes) } }, wasMade)
        }
    }

    private var whole: [[UInt8]?] { [Array(Self.values[..<7]), Self.values] }

    private func path() throws -> String { try #require(store().entries.first?.path) }

    private func change(_ path: String, _ change: (inout Data) -> Void) throws {
        var data = try Data(contentsOf: URL(fileURLWithPath: path))
        change(&data)
        try data.write(to: URL(fileURLWithPath: path))
    }

    @Test func whatWasWrittenOnceIsReadFromThenOn() throws {
        let first = try #require(try read("k", store()))
        let second = try #require(try read("k", store()))
        #expect(first.wasMade && !second.wasMade && first.sections == whole && second.sections == whole)
        #expect(try #require(try read("other", store())).wasMade)
        #expect(try store().file("k", about: .null, size: 0) { _ in }?.section("c", parallel: Self.inTurn) == nil)
        #expect(warnings.all.isEmpty)
    }

    /// A changed bit of a section is that section's loss, one of the index or behind it the file's.
    @Test func aFlippedBitIsFoundWhereverItIs() throws {
        _ = try read("k", store())
        let path = try path()
        let count = try Data(contentsOf: URL(fileURLWithPath: path)).count
        for (position, lost) in [(0, 0), (6, 0), (64, 1), (200_000, 1), (300_063, 1)] {
            try change(path) { $0[position] ^= 16 }
            let found = try #require(try read("k", store()))
            #expect(!found.wasMade && found.sections[lost] == nil && found.sections[1 - lost] == whole[1 - lost])
            try change(path) { $0[position] ^= 16 }
        }
        for position in [300_064, count - 24, count - 12, count - 1] {
            try change(path) { $0[position] ^= 16 }
            let found = try #require(try read("k", store()))
            #expect(found.wasMade && found.sections == whole)
        }
    }

    @Test func anotherVersionAndPartsOfAFileAreMadeAnew() throws {
        _ = try read("k", store())
        let path = try path()
        try change(path) { $0[$0.count - 1] = UInt8(ascii: "0") }
        #expect(try #require(try read("k", store())).wasMade)
        for count in [0, 1, 23, 24, 70_000, 300_064, -24, -1] {
            try change(path) { $0 = $0.prefix(count < 0 ? $0.count + count : count) }
            let found = try #require(try read("k", store()))
            #expect(found.wasMade && found.sections == whole, "\(count) bytes")
        }
    }

    /// What a killed process leaves has another name, and is gone after the next file that is written.
    @Test func whatAKilledWriterLeavesIsNeverRead() throws {
        struct Killed: Error {}
        #expect(throws: Killed.self) {
            try store().file("k", about: .null, size: 1) { writer in
                try [1, 2].withUnsafeBytes { try writer.add("a", $0, parallel: Self.inTurn) }
                throw Killed()
            }
        }
        #expect(try folder.contents == [])
        _ = try folder.write(".\(String(repeating: "0", count: 64)).pack.host-1.tmp", [1, 2, 3])
        #expect(try #require(try read("k", store())).wasMade)
        #expect(try folder.contents.count == 1)
    }

    @Test func aDiskWithoutRoomCostsOneLine() throws {
        let store = store()
        for key in ["a", "b"] as [JSON] {
            let file = try store.file(key, about: .null, size: 300_000) { _ in
                throw FileFailure.cannotWrite(file: "f", reason: "No space left on device")
            }
            #expect(file == nil)
        }
        #expect(warnings.all.count == 1 && warnings.all[0].contains("No space left"))
        #expect(try self.store().file("a", about: .null, size: 1 << 60, fill: { _ in Issue.record("there is no room") }) == nil)
        #expect(warnings.all.count == 2 && warnings.all[1].contains("free for"))
        #expect(try read("k", self.store("/proc/none")) == nil)
        #expect(try self.store(limit: 10).file("a", about: .null, size: 11) { _ in Issue.record("above the limit") } == nil)
        #expect(try folder.contents == [])
    }

    @Test func ofTwoWritersOneWrites() throws {
        let made = Tally()
        DispatchQueue.concurrentPerform(iterations: 4) { _ in
            let found = try? read("k", store())
            #expect(found?.sections == whole)
            made.add(found?.wasMade == true ? 1 : 0)
        }
        #expect(made.values == [1: 1, 0: 3])
    }

    @Test func whatWasUsedLongestAgoMakesRoom() throws {
        for key in ["a", "b", "c"] as [JSON] {
            _ = try read(key, store(limit: 1_000_000))
            Thread.sleep(forTimeInterval: 0.02)
        }
        _ = try read("a", store())
        Thread.sleep(forTimeInterval: 0.02)
        _ = try read("d", store(limit: 1_000_000))
        #expect(store().entries.map { $0.about?["network"] } == ["c", "a", "d"])
        #expect(store().prune(to: 400_000).count == 2)
        #expect(store().entries.map { $0.about?["network"] } == ["d"])
    }
}
