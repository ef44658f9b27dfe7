import Checkpoints
import Files
import StableDiffusion
import Tensors
import Testing
import TestSupport

@Suite struct WeightStoreTests {
    static func weights(_ shapes: [(String, [Int])]) -> [Weight] {
        shapes.map { Weight(name: $0.0, tensor: .zeros($0.1)) }
    }

    static let small = TextEncoderConfig(vocabularySize: 5, positions: 3, width: 4, innerWidth: 8, layers: 1)

    @Test func takesByNameAndShape() throws {
        let store = try WeightStore(file: "f", weights: Self.weights([("a", [2, 3]), ("b", [1])]))
        #expect(try store.take("a", shape: [2, 3]).count == 6)
        #expect(throws: FileFailure.misshapen(file: "f", tensor: "b", expected: [2], found: [1])) {
            try store.take("b", shape: [2])
        }
        #expect(throws: FileFailure.missingTensors(file: "f", names: ["c"])) { try store.take("c", shape: [1]) }
        #expect(throws: FileFailure.extraTensors(file: "f", names: ["b"])) { try store.finish() }
        _ = try store.take("b", shape: [1])
        try store.finish()
    }

    @Test func verifiesAgainstAManifest() throws {
        let manifest = Self.small.manifest
        var shapes = manifest.tensors.map { ($0.name, $0.shape) }
        try WeightStore(file: "f", weights: Self.weights(shapes)).verify(manifest)
        let first = shapes.removeFirst()
        #expect(throws: FileFailure.missingTensors(file: "f", names: [first.0])) {
            try WeightStore(file: "f", weights: Self.weights(shapes)).verify(manifest)
        }
        shapes.append((first.0, [1]))
        #expect(throws: FileFailure.misshapen(file: "f", tensor: first.0, expected: first.1, found: [1])) {
            try WeightStore(file: "f", weights: Self.weights(shapes)).verify(manifest)
        }
        shapes[shapes.count - 1] = first
        shapes.append(("unknown", [1]))
        #expect(throws: FileFailure.extraTensors(file: "f", names: ["unknown"])) {
            try WeightStore(file: "f", weights: Self.weights(shapes)).verify(manifest)
        }
    }

    @Test func knownLeftoversAreNamedAndNotErrors() throws {
        let manifest = Self.small.manifest
        let shapes = manifest.tensors.map { ($0.name, $0.shape) } + [("text_model.embeddings.position_ids", [1, 3])]
        let store = try WeightStore(file: "f", weights: Self.weights(shapes), naming: ModelComponent.textEncoder)
        try store.verify(manifest)
        #expect(store.leftovers == ["text_model.embeddings.position_ids"])
    }

    @Test func understandsTextEncodersWithoutPrefix() throws {
        let manifest = Self.small.manifest
        let bare = manifest.tensors.map { (String($0.name.dropFirst("text_model.".count)), $0.shape) }
        try WeightStore(file: "f", weights: Self.weights(bare), naming: ModelComponent.textEncoder).verify(manifest)
        #expect(throws: FileFailure.self) {
            try WeightStore(
                file: "f", weights: Self.weights(bare + [("text_model.final_layer_norm.bias", [4])]),
                naming: ModelComponent.textEncoder)
        }
    }

    @Test func understandsOldAttentionNamesOfTheVAE() throws {
        let manifest = VAEConfig(widths: [4, 8], layersPerBlock: 1).manifest
        let old = ["to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"]
        let shapes = manifest.tensors.map { tensor -> (String, [Int]) in
            for (new, name) in old where tensor.name.contains(new) {
                let isMatrix = tensor.name.hasSuffix("weight")
                return (
                    tensor.name.split(separator: new, maxSplits: 1).joined(separator: name),
                    tensor.shape + (isMatrix ? [1, 1] : [])
                )
            }
            return (tensor.name, tensor.shape)
        }
        #expect(shapes.contains { $0.0 == "decoder.mid_block.attentions.0.proj_attn.weight" && $0.1 == [8, 8, 1, 1] })
        try WeightStore(file: "f", weights: Self.weights(shapes), naming: ModelComponent.vae).verify(manifest)
    }

    @Test func readsShards() throws {
        let folder = try TemporaryFolder()
        try SafetensorsWriter.write([(name: "a", tensor: Tensor([1], [1]))], to: folder.file("1.safetensors"))
        try SafetensorsWriter.write([(name: "b", tensor: Tensor([1], [2]))], to: folder.file("2.safetensors"))
        let index = folder.file("model.safetensors.index.json")
        let map: JSON = ["a": "1.safetensors", "b": "2.safetensors"]
        try (["metadata": [:], "weight_map": map] as JSON).write(to: index, overwrite: false)
        #expect(try WeightStore(path: index).take("b", shape: [1]).floats() == [2])

        let incomplete: JSON = ["weight_map": ["a": "1.safetensors", "c": "2.safetensors"]]
        try incomplete.write(to: index, overwrite: true)
        #expect(throws: FileFailure.missingTensors(file: folder.file("2.safetensors"), names: ["c"])) {
            try WeightStore(path: index)
        }
        try (["weight_map": ["a": "../1.safetensors"]] as JSON).write(to: index, overwrite: true)
        #expect(throws: FileFailure.self) { try WeightStore(path: index) }
    }
}
