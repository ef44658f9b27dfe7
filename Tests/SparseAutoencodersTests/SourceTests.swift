import Checkpoints
import Foundation
import Ops
import SparseAutoencoders
import Tensors
import TestSupport
import Testing

@Suite struct SourceTests {
    /// Every token once an epoch, in another order each time.
    @Test func storeIsShuffledAsAWhole() throws {
        let temporary = try TemporaryFolder()
        let store = try ActivationStore(
            folder: temporary.path, layer: "mid", width: 2, positions: 5, pictures: 9, picturesPerFile: 3)
        for shard in 0..<3 {
            let maps = (0..<3).map { map in
                Tensor([5, 2], (0..<10).map { Float((shard * 3 + map) * 5 + $0 / 2) })
            }
            try store.write(file: shard, maps: maps, timesteps: [1, 2, 3])
        }
        let source = try StoreSource([store], keepsSamples: false, seed: 3)
        let epochs = try (0..<2).map { _ in try (0..<45).map { _ in Int(try source.next(1)?.array[1] ?? -1) } }
        #expect(epochs[0].sorted() == Array(0..<45) && epochs[1].sorted() == Array(0..<45))
        #expect(epochs[0] != epochs[1] && epochs[0] != Array(0..<45))
    }

    @Test func samplesStayWhole() throws {
        let temporary = try TemporaryFolder()
        let store = try TrainingRunTests.makeStore(temporary.path)
        let source = try StoreSource([store], keepsSamples: true, seed: 3)
        let batch = try source.next(16)
        var maps: [[Float]] = []
        try store.forEachMap { map, _ in maps.append(map.array) }
        for sample in 0..<2 {
            let map = try #require(batch).slice(sample * 8..<sample * 8 + 8).array
            #expect(maps.contains(map))
        }
    }

    /// Reading goes on until something is wrong.
    private static func readAll(_ store: ActivationStore) throws { try store.forEachMap { _, _ in } }

    /// One bit of a file is another.
    private static func flip(_ name: String, _ place: Int, in folder: TemporaryFolder) throws {
        var bytes = try folder.bytes(name)
        bytes[place < 0 ? bytes.count + place : place] ^= 1
        try FileManager.default.removeItem(atPath: folder.file(name))
        _ = try folder.write(name, bytes)
    }

    /// In an activation, in its checksum, in a time step (files begin with a header of 8 bytes and its length).
    @Test(arguments: [-100, 0, 8 * 64]) func aFlippedBitIsFoundWhenItIsRead(place: Int) throws {
        let temporary = try TemporaryFolder()
        let store = try TrainingRunTests.makeStore(temporary.path)
        try Self.readAll(store)
        let name = "shard-00001.safetensors"
        let header = try temporary.bytes(name).withUnsafeBytes { Int($0.loadUnaligned(as: UInt64.self)) } + 8
        try Self.flip(name, place < 0 ? place : header + place, in: temporary)
        #expect { try Self.readAll(store) } throws: {
            "\($0)".contains(name) && ("\($0)".contains("checksum differs") || "\($0)".contains("timesteps"))
        }
        let source = try StoreSource([store], keepsSamples: false, seed: 3)
        #expect { while true { _ = try source.next(1) } } throws: { "\($0)".contains(name) }
    }

    /// Only what is used is compared: the other files' tokens come.
    @Test func damageElsewhereIsNotLookedFor() throws {
        let temporary = try TemporaryFolder()
        let store = try TrainingRunTests.makeStore(temporary.path)
        try Self.flip("shard-00002.safetensors", -1, in: temporary)
        let source = try StoreSource([store], keepsSamples: false, seed: 3, window: 2)
        for _ in 0..<128 { #expect(try source.next(1) != nil) }
        #expect { for _ in 0..<64 { _ = try source.next(1) } } throws: { "\($0)".contains("shard-00002") }
    }

    /// Written before there were checksums of tokens.
    @Test func anOlderStoreIsReadAndItsDamageFound() throws {
        let temporary = try TemporaryFolder()
        let new = try TrainingRunTests.makeStore(temporary.file("new"), files: 1)
        let old = try TrainingRunTests.makeStore(temporary.file("old"), files: 0)
        let file = try SafetensorsFile(path: new.path(file: 0))
        let weights = [try file.weight("activations"), try file.weight("timesteps")]
        try SafetensorsWriter.write(weights, metadata: ["checksum": Self.olderChecksum(weights)], to: old.path(file: 0))
        func batches(_ store: ActivationStore) throws -> [[Float]?] {
            let source = try StoreSource([store], keepsSamples: false, seed: 3, window: 1, wait: { _ in throw Missing() })
            return try (0..<4).map { _ in try source.next(16)?.array }
        }
        #expect(try batches(old) == batches(new))
        try Self.flip("old/shard-00000.safetensors", -1, in: temporary)
        #expect { try batches(old) } throws: { "\($0)".contains("checksum differs") }
    }

    struct Missing: Error {}

    /// FNV-1a over 8-byte words.
    private static func olderChecksum(_ weights: [Weight]) -> String {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for weight in weights {
            for offset in stride(from: 0, to: weight.bytes.count, by: 8) {
                let word = weight.bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
                hash = (hash ^ word) &* 0x100_0000_01B3
            }
        }
        return String(hash, radix: 16)
    }

    @Test func incompleteStoreIsRefused() throws {
        let temporary = try TemporaryFolder()
        _ = try TrainingRunTests.makeStore(temporary.path)
        #expect(try ActivationStore(folder: temporary.path).fileCount == 3)
        try FileManager.default.removeItem(atPath: temporary.file("shard-00001.safetensors"))
        #expect { try ActivationStore(folder: temporary.path) } throws: { "\($0)".contains("2 of 3 files") }
    }

    @Test func storeOfOtherPicturesIsRefused() throws {
        let temporary = try TemporaryFolder()
        func store(_ seed: Int) throws {
            _ = try ActivationStore(
                folder: temporary.path, layer: "mid", width: 2, positions: 5, pictures: 9, picturesPerFile: 3,
                origin: ["seed": .integer(seed), "guidance": 7.5])
        }
        try store(1)
        try store(1)
        #expect { try store(2) } throws: { "\($0)".contains("seed 1, not 2") }
    }

    /// Nothing is lost, nothing comes twice, and what comes is far from the order in which it was put in.
    @Test func bufferMixes() throws {
        let buffer = ShuffleBuffer(width: 1, group: 1, capacityTokens: 100, seed: 4)
        var drawn: [Float] = []
        for map in 0..<30 {
            buffer.push(Tensor([10, 1], (0..<10).map { Float(map * 10 + $0) }))
            while let batch = buffer.draw(5, last: false) { drawn += batch.array }
        }
        #expect(drawn.count > 200 && drawn.count < 300)
        while let batch = buffer.draw(5, last: true) { drawn += batch.array }
        #expect(drawn.sorted() == (0..<300).map(Float.init))
        let distance = drawn.enumerated().reduce(0.0) { $0 + abs(Double($1.element) - Double($1.offset)) } / 300
        #expect(distance > 20)
    }
}
