import Checkpoints
import Files
import Ops
import SparseAutoencoders
import Tensors
import Testing
import TestSupport

@Suite struct FolderTests {
    let folder = "sae_folder/unet.up_blocks.1.attentions.1"

    @Test func publishedFolderIsRead() throws {
        let autoencoder = try SparseAutoencoder(folder: fixture(folder))
        #expect(autoencoder.inputWidth == 96)
        #expect(autoencoder.numLatents == 384)
        #expect(autoencoder.configuration.k == 8)
        #expect(autoencoder.configuration.rule == .topK)
        let file = try SafetensorsFile(path: fixture("\(folder)/sae.safetensors"))
        #expect(try autoencoder.decoderWeight.array == file.weight("W_dec").floats())
        #expect(try autoencoder.encoderBias.array == file.weight("encoder.bias").floats())
    }

    @Test(arguments: [(DType.f32, 0.0), (.f16, 1e-3), (.bf16, 8e-3)])
    func writtenFolderReadsBack(dtype: DType, tolerance: Double) throws {
        let temporary = try TemporaryFolder()
        var configuration = SAEConfiguration(inputWidth: 10, numLatents: 33, k: 3, rule: .jumpReLU)
        configuration.inputUnitNorm = true
        let autoencoder = randomAutoencoder(configuration)
        try autoencoder.write(folder: "\(temporary.path)/unet.conv_in", dtype: dtype)
        let back = try SparseAutoencoder(folder: "\(temporary.path)/unet.conv_in")
        #expect(back.configuration == configuration)
        for (a, b) in zip(back.parameters, autoencoder.parameters) {
            #expect(relativeError(a.tensor.array, b.tensor.array) <= tolerance, "\(a.name)")
        }
        #expect(throws: FileFailure.self) { try autoencoder.write(folder: "\(temporary.path)/unet.conv_in") }
    }

    @Test func badKeysAreNamed() throws {
        func read(_ text: String) throws -> SAEConfiguration {
            try SAEConfiguration(ConfigFile(file: "cfg.json", json: JSON.parse(text)))
        }
        let good = try read(#"{"d_in": 8, "num_latents": 0, "expansion_factor": 4, "k": 2, "signed": false}"#)
        #expect(good.numLatents == 32)
        #expect(throws: FileFailure.self) { try read(#"{"num_latents": 16, "k": 2}"#) }
        #expect(throws: FileFailure.self) { try read(#"{"d_in": 8, "num_latents": 16, "k": 17}"#) }
        // k of all positions of a sample together.
        #expect(try read(#"{"d_in": 8, "num_latents": 16, "k": 65536, "sample_topk": true}"#).k == 65536)
        #expect { try read(#"{"d_in": 8, "num_latents": 16, "k": 65537, "sample_topk": true}"#) } throws: {
            "\($0)".contains("k: expected at most 4096 · num_latents = 65536, found 65537")
        }
        #expect { try read(#"{"d_in": 1073741824, "expansion_factor": 1073741824, "k": 2}"#) } throws: {
            "\($0)".contains("num_latents: expected at most 1073741824")
        }
        for latents in ["1073741825", "4611686018427387904", "-1"] {
            #expect { try read(#"{"d_in": 8, "k": 2, "num_latents": \#(latents)}"#) } throws: {
                "\($0)".contains("num_latents: expected a positive size, found \(latents)")
            }
        }
        let both = #"{"d_in": 8, "k": 2, "batch_topk": true, "sample_topk": true}"#
        #expect(throws: FileFailure.self) { try read(both) }
        #expect(throws: FileFailure.self) { try read(#"{"d_in": 8, "k": 2, "activation": "gelu"}"#) }
    }

    @Test(arguments: [SelectionRule.topK, .relu, .jumpReLU])
    func saeLensKeepsTheFunction(rule: SelectionRule) throws {
        let temporary = try TemporaryFolder()
        let autoencoder = randomAutoencoder(SAEConfiguration(inputWidth: 6, numLatents: 20, k: 4, rule: rule))
        try SAELens.write(autoencoder, folder: temporary.path, hook: "unet.conv_in")
        let back = try SparseAutoencoder(folder: temporary.path)
        #expect(back.configuration.rule == rule)
        for (a, b) in zip(back.parameters, autoencoder.parameters) {
            #expect(a.tensor.array == b.tensor.array, "\(a.name)")
        }
    }

    @Test func saeLensOptionsAreFolded() throws {
        let temporary = try TemporaryFolder()
        let autoencoder = randomAutoencoder(SAEConfiguration(inputWidth: 6, numLatents: 20, k: 4))
        try SAELens.write(autoencoder, folder: temporary.path, hook: "unet.conv_in")
        let path = "\(temporary.path)/cfg.json"
        guard var object = try JSON.read(path).object else { throw SimpleFailure(.badData, path) }
        object["apply_b_dec_to_input"] = false
        object["rescale_acts_by_decoder_norm"] = true
        try JSON.object(object).write(to: path, overwrite: true)
        let folded = try SparseAutoencoder(folder: temporary.path)
        let engine = try Engine()
        let x = CounterRandom(seed: 2, purpose: .noise).normals([5, 6])
        for feature in [0, 7, 19] {
            let row = autoencoder.decoderWeight.slice(feature..<feature + 1).array
            let norm = row.reduce(0) { $0 + $1 * $1 }.squareRoot()
            let encoder = autoencoder.encoderWeight.slice(feature..<feature + 1).array
            let bias = autoencoder.encoderBias.pointer[feature]
            let expected = (0..<5).map { token in
                (zip(encoder, x.slice(token..<token + 1).array).reduce(bias) { $0 + $1.0 * $1.1 }) * norm
            }
            #expect(relativeError(folded.preActivation(of: feature, x, engine: engine), expected) < 1e-5)
            let decoder = folded.decoderWeight.slice(feature..<feature + 1).array
            #expect(relativeError(decoder, row.map { $0 / norm }) < 1e-6)
        }
    }

    @Test func missingTensorIsNamed() throws {
        let temporary = try TemporaryFolder()
        let autoencoder = randomAutoencoder(SAEConfiguration(inputWidth: 6, numLatents: 20, k: 4))
        try autoencoder.configuration.json.write(to: "\(temporary.path)/cfg.json", overwrite: false)
        try SafetensorsWriter.write(
            [(name: "W_dec", tensor: autoencoder.decoderWeight)], to: "\(temporary.path)/sae.safetensors")
        #expect { try SparseAutoencoder(folder: temporary.path) } throws: { "\($0)".contains("encoder.weight") }
    }
}
