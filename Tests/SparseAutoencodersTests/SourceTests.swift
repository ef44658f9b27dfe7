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
            folder: temporary.path, layer: "mid", width: 2, positions: 5, pictures: 9, picturesPerShard: 3)
        for shard in 0..<3 {
            let maps = (0..<3).map { map in
                Tensor([5, 2], (0..<10).map { Float((shard * 3 + map) * 5 + $0 / 2) })
            }
            try store.write(shard: shard, maps: maps, timesteps: [1, 2, 3])
        }
        let source = try StoreSource(store, keepsSamples: false, seed: 3)
        #expect(source.tokens == 45)
        let epochs = try (0..<2).map { _ in try (0..<45).map { _ in Int(try source.next(1)?.array[1] ?? -1) } }
        #expect(epochs[0].sorted() == Array(0..<45) && epochs[1].sorted() == Array(0..<45))
        #expect(epochs[0] != epochs[1] && epochs[0] != Array(0..<45))
    }

    @Test func samplesStayWhole() throws {
        let temporary = try TemporaryFolder()
        let store = try TrainingRunTests.makeStore(temporary.path)
        let source = try StoreSource(store, keepsSamples: true, seed: 3)
        let batch = try source.next(16)
        var maps: [[Float]] = []
        try store.forEachMap { map, _ in maps.append(map.array) }
        for sample in 0..<2 {
            let map = try #require(batch).slice(sample * 8..<sample * 8 + 8).array
            #expect(maps.contains(map))
        }
    }

    @Test func damageIsFound() throws {
        let temporary = try TemporaryFolder()
        let store = try TrainingRunTests.makeStore(temporary.path)
        #expect(try store.open(verify: true).count == 3)
        var bytes = try temporary.bytes("shard-00001.safetensors")
        bytes[bytes.count - 100] ^= 1
        try FileManager.default.removeItem(atPath: temporary.file("shard-00001.safetensors"))
        _ = try temporary.write("shard-00001.safetensors", bytes)
        #expect { try store.open(verify: true) } throws: { "\($0)".contains("shard-00001") }
    }

    @Test func damageIsFoundBeforeTraining() throws {
        let temporary = try TemporaryFolder()
        let store = try TrainingRunTests.makeStore(temporary.path)
        var bytes = try temporary.bytes("shard-00002.safetensors")
        bytes[bytes.count - 1] ^= 1
        try FileManager.default.removeItem(atPath: temporary.file("shard-00002.safetensors"))
        _ = try temporary.write("shard-00002.safetensors", bytes)
        #expect { try StoreSource(store, keepsSamples: false, seed: 3) } throws: { "\($0)".contains("checksum") }
    }

    @Test func incompleteStoreIsRefused() throws {
        let temporary = try TemporaryFolder()
        _ = try TrainingRunTests.makeStore(temporary.path)
        #expect(try ActivationStore(folder: temporary.path).shardCount == 3)
        try FileManager.default.removeItem(atPath: temporary.file("shard-00001.safetensors"))
        #expect { try ActivationStore(folder: temporary.path) } throws: { "\($0)".contains("2 of 3 shards") }
    }

    @Test func storeOfOtherPicturesIsRefused() throws {
        let temporary = try TemporaryFolder()
        func store(_ seed: Int) throws {
            _ = try ActivationStore(
                folder: temporary.path, layer: "mid", width: 2, positions: 5, pictures: 9, picturesPerShard: 3,
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
