import Checkpoints
import Files
import Ops
import StableDiffusion
import Tensors
import Testing

@Suite struct TextEncoderTests {
    /// The reference's weights were hashed from names without the `text_model.` prefix.
    private func weights(_ config: TextEncoderConfig) throws -> WeightStore {
        let prefix = "text_model."
        let weights = config.manifest.tensors.map { tensor in
            let name = String(tensor.name.dropFirst(prefix.count))
            return Weight(name: name, tensor: SyntheticWeights(name: name, shape: tensor.shape).tensor())
        }
        return try WeightStore(file: "text", weights: weights, naming: ModelComponent.textEncoder)
    }

    private func encoder(_ golden: ModelGolden, _ changes: [String: JSON] = [:]) throws -> TextEncoder {
        let config = try TextEncoderConfig(golden.config(changes))
        return try TextEncoder(config: config, weights: weights(config), engine: Engine(threads: 2))
    }

    @Test func lastHiddenStateMatches() throws {
        let golden = try ModelGolden("text")
        let hidden = try encoder(golden).encode(golden.ids("ids"))
        #expect(relativeError(hidden, try golden.tensor("last_hidden_state")) < 1e-4)
    }

    @Test func clipSkipLeavesOutLastLayers() throws {
        let golden = try ModelGolden("text")
        let ids = try golden.ids("ids")
        let skipped = try encoder(golden).encode(ids, clipSkip: 1)
        let shorter = try encoder(golden, ["num_hidden_layers": 2]).encode(ids)
        #expect(skipped.array == shorter.array)
        #expect(throws: SimpleFailure.self) { try encoder(golden).encode(ids, clipSkip: 3) }
    }

    @Test func exactGeluDiffersFromQuick() throws {
        let golden = try ModelGolden("text")
        let hidden = try encoder(golden, ["hidden_act": "gelu"]).encode(golden.ids("ids"))
        let error = relativeError(hidden, try golden.tensor("last_hidden_state"))
        #expect(error > 1e-4 && error < 0.1)
        #expect(throws: FileFailure.self) { try encoder(golden, ["hidden_act": "relu"]) }
    }

    @Test func emptyPromptNeedsNoTokenizer() throws {
        let golden = try ModelGolden("text")
        let encoder = try encoder(golden)
        let ids = [673] + Array(repeating: 674, count: 76)
        #expect(encoder.config.emptyPromptIDs == ids)
        #expect(try encoder.encodeEmptyPrompt().array == encoder.encode([ids]).array)
    }

    @Test func idsOutsideTheVocabularyAreRefused() throws {
        let encoder = try encoder(ModelGolden("text"))
        #expect(throws: SimpleFailure.self) { try encoder.encode([[0, 675]]) }
        #expect(throws: SimpleFailure.self) { try encoder.encode([Array(repeating: 1, count: 78)]) }
    }
}
