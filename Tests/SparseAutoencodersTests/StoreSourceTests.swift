import Files
import Foundation
import SparseAutoencoders
import Tensors
import TestSupport
import Testing

/// Stores read in windows, together, and while they are being written.
@Suite struct StoreSourceTests {
    typealias Runs = TrainingRunTests

    struct Enough: Error {}

    /// A store of `pictures` pictures of one map of 4 tokens, whose only channel says which token it is.
    private static func numbered(
        _ folder: String, pictures: Int = 10, from first: Int = 0, seed: Int = 1, write: Bool = true
    ) throws -> ActivationStore {
        let store = try ActivationStore(
            folder: folder, layer: "mid", width: 1, positions: 4, pictures: pictures, picturesPerFile: 1,
            origin: ["seed": .integer(seed)])
        for file in 0..<(write ? pictures : 0) { try put(file, into: store, from: first) }
        return store
    }

    private static func put(_ file: Int, into store: ActivationStore, from first: Int = 0) throws {
        let tokens = (0..<4).map { Float(first + file * 4 + $0) }
        try store.write(file: file, maps: [Tensor([4, 1], tokens)], timesteps: [7])
    }

    private static func tokens(_ source: StoreSource, _ count: Int) throws -> [Int] {
        try (0..<count).map { _ in Int(try source.next(1)?.array[0] ?? -1) }
    }

    /// Every token once an epoch. The first epoch follows the files; later ones mix others with one another.
    @Test(arguments: [1, 3, 4, 10]) func aWindowIsReadAfterTheOther(window: Int) throws {
        let temporary = try TemporaryFolder()
        let store = try Self.numbered(temporary.path)
        let source = try StoreSource([store], keepsSamples: false, seed: 3, window: window)
        let epochs = try (0..<3).map { _ in try Self.tokens(source, 40) }
        for epoch in epochs { #expect(epoch.sorted() == Array(0..<40)) }
        #expect(Set(epochs).count == 3)
        for (place, token) in epochs[0].enumerated() { #expect(token / 4 / window == place / 4 / window) }
        let files = Set(epochs[1].prefix(4 * window).map { $0 / 4 })
        #expect(files.count == window && (window == 10 || files != Set(0..<window)))
    }

    @Test func aWindowOfEverythingIsNone() throws {
        let temporary = try TemporaryFolder()
        let store = try Self.numbered(temporary.path)
        let all = try StoreSource([store], keepsSamples: false, seed: 3, window: 99)
        let none = try StoreSource([store], keepsSamples: false, seed: 3)
        #expect(try Self.tokens(all, 100) == Self.tokens(none, 100))
        #expect(all.origin == none.origin && all.state.json == none.state.json)
    }

    /// Whatever the order in which files come, and however often reading had to wait and was given up meanwhile.
    @Test(arguments: [1, 2, 3]) func followingGivesTheBatchesOfTheFinishedStore(seed: UInt64) throws {
        let temporary = try TemporaryFolder()
        let finished = try StoreSource(
            [Self.numbered(temporary.file("a"))], keepsSamples: false, seed: 3, window: 3)
        let expected = try (0..<20).map { _ in try finished.next(5)?.array }
        let growing = try Self.numbered(temporary.file("b"), write: false)
        let random = CounterRandom(seed: seed, purpose: .shuffle)
        var (left, waits) = (Array(0..<10), 0)
        let source = try StoreSource([growing], keepsSamples: false, seed: 3, window: 3) { missing in
            waits += 1
            #expect(missing.hasPrefix(growing.folders[0]) && !FileSystem.isFile(missing))
            if waits % 3 == 0 { throw Enough() }
            if !left.isEmpty { try Self.put(left.remove(at: random.integer(waits, in: 0...left.count - 1)), into: growing) }
        }
        var found: [[Float]?] = []
        while found.count < 20 { do { found.append(try source.next(5)?.array) } catch is Enough {} }
        #expect(found == expected && left.isEmpty)
    }

    @Test(arguments: [0, 1, 11, 12, 13, 39, 40, 41, 95, 250]) func readingGoesOnAtAnyPlace(place: Int) throws {
        let temporary = try TemporaryFolder()
        let store = try Self.numbered(temporary.path)
        for window in [3, nil] {
            let whole = try StoreSource([store], keepsSamples: false, seed: 3, window: window)
            _ = try Self.tokens(whole, place)
            let other = try StoreSource([store], keepsSamples: false, seed: 3, window: window)
            try other.restore(whole.state)
            #expect(try Self.tokens(other, 60) == Self.tokens(whole, 60))
        }
    }

    /// The place of a checkpoint that was tampered with: far away, but not for ever.
    @Test func aPlaceThatCannotBeIsRefusedAndAFarOneFound() throws {
        let temporary = try TemporaryFolder()
        let store = try Self.numbered(temporary.path)
        let source = try StoreSource([store], keepsSamples: false, seed: 3, window: 3)
        for bad in [["drawn": -1], ["drawn": 4, "of": 44], [:]] as [JSON] {
            #expect { try source.restore(SourceState(json: bad)) } throws: { ($0 as? any Failure)?.kind == .badData }
        }
        try source.restore(SourceState(json: ["drawn": .integer(1 << 50)]))
        #expect(try source.next(1) != nil)
    }

    /// A file of each in turn.
    @Test func storesAreReadInTurn() throws {
        let temporary = try TemporaryFolder()
        let stores = [
            try Self.numbered(temporary.file("a"), pictures: 2),
            try Self.numbered(temporary.file("b"), pictures: 4, from: 100, seed: 2),
        ]
        let source = try StoreSource(stores, keepsSamples: true, seed: 3, window: 1)
        let firsts = try (0..<6).map { _ in Int(try source.next(4)?.array[0] ?? -1) }
        #expect(firsts == [0, 100, 4, 104, 108, 112])
        #expect(source.origin["pictures"]?["stores"] == [["seed": 1], ["seed": 2]])
    }

    /// Machines without a common folder: what each drew is a part of one store.
    @Test func partsInSeveralFoldersAreOneStore() throws {
        let temporary = try TemporaryFolder()
        let whole = try Self.numbered(temporary.file("whole"))
        let parts = try (0..<3).map { part in
            let store = try Self.numbered(temporary.file("part\(part)"), write: false)
            for file in stride(from: part, to: 10, by: 3) { try Self.put(file, into: store) }
            return try ActivationStore(part: store.folders[0])
        }
        let missing = #expect(throws: SimpleFailure.self) {
            try StoreSource(ActivationStore.joined(Array(parts[0...1])), keepsSamples: false, seed: 3)
        }
        #expect(missing?.kind == .missingInput && "\(missing!)".contains("7 of 10 files"))
        let joined = ActivationStore.joined(parts)
        #expect(joined.count == 1)
        let (one, several) = (
            try StoreSource([whole], keepsSamples: false, seed: 3), try StoreSource(joined, keepsSamples: false, seed: 3))
        #expect(try Self.tokens(one, 80) == Self.tokens(several, 80) && one.origin == several.origin)
    }

    @Test func mapsOfOtherSizesAreNotMixed() throws {
        let temporary = try TemporaryFolder()
        let stores = [try Self.numbered(temporary.file("a")), try Runs.makeStore(temporary.file("b"))]
        #expect { try StoreSource(stores, keepsSamples: false, seed: 3) } throws: {
            ($0 as? any Failure)?.kind == .badData && "\($0)".contains("8 × 12") && "\($0)".contains("4 × 1")
        }
    }

    /// Two processes took the same file: the second finds it there.
    @Test func theSecondWriterOfAFileLeavesItAsItIs() throws {
        let temporary = try TemporaryFolder()
        let store = try Self.numbered(temporary.path)
        let before = try contents(temporary.path)
        try Self.put(3, into: store)
        #expect(try contents(temporary.path) == before)
    }
}
