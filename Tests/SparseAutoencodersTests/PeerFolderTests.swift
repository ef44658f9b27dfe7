import Checkpoints
import Files
import Foundation
import Ops
import SparseAutoencoders
import Tensors
import TestSupport
import Testing

/// Folders as dictionary_learning, SAELens and sparsify write them (tools/goldens/peer_autoencoders.py), against what
/// those programs compute from them.
@Suite struct PeerFolderTests {
    static let folders = [
        "dl_standard", "dl_new", "dl_gated", "dl_jumprelu", "dl_topk", "dl_batchtopk", "dl_matryoshka", "sl_v2",
        "sl_v3_topk", "sl_v6_topk_norm", "sl_v6_jumprelu", "sl_v6_gated", "sl_v6_layer_norm",
    ]

    @Test(arguments: folders) func computesWhatItsProgramDoes(name: String) throws {
        let folder = try fixture("peers/\(name)")
        let (autoencoder, engine) = (try SparseAutoencoder(folder: folder), try Engine())
        let expected = try SafetensorsFile(path: "\(folder)/expected.safetensors")
        func tensor(_ name: String) throws -> Tensor {
            let weight = try expected.weight(name)
            return Tensor(weight.shape, weight.floats())
        }
        let (x, features) = (try tensor("x"), try tensor("features"))
        let codes = autoencoder.encode(x, engine: engine)
        var found = [Float](repeating: 0, count: features.count)
        for token in 0..<x.rows {
            for (feature, value) in codes.entries(of: token) { found[token * features.channels + feature] = value }
        }
        #expect(relativeError(found, features.array) < 1e-5)
        #expect(features.array.contains { $0 > 0 } && features.array.contains(0))
        let reconstruction = autoencoder.decode(codes, of: x, engine: engine)
        #expect(try relativeError(reconstruction.array, tensor("reconstruction").array) < 1e-5)
    }

    @Test func matryoshkaKeepsItsGroups() throws {
        #expect(try SparseAutoencoder(folder: fixture("peers/dl_matryoshka")).configuration.prefixes == [4, 10])
    }

    @Test func layersAreFoundInWhateverFormat() throws {
        let temporary = try TemporaryFolder()
        for (layer, name) in [("unet.mid_block", "dl_topk"), ("conv_in", "sl_v2")] {
            try FileManager.default.copyItem(atPath: fixture("peers/\(name)"), toPath: temporary.file(layer))
        }
        #expect(try SAEFolder.find(layer: "mid_block", in: temporary.path) == temporary.file("unet.mid_block"))
        #expect(try SAEFolder.find(layer: "conv_in", in: temporary.path) == temporary.file("conv_in"))
        #expect(try SAEFolder.find(layer: "x", in: temporary.file("conv_in")) == temporary.file("conv_in"))
        #expect { try SAEFolder.find(layer: "conv_out", in: temporary.path) } throws: { "\($0)".contains("conv_out") }
        #expect { try SparseAutoencoder(folder: temporary.path) } throws: { "\($0)".contains("ae.pt") }
    }

    /// Errors say the key that stands in the file.
    @Test(arguments: [
        ("sl_v6_topk_norm", "cfg.json", "k", "cfg.json: k: expected at most d_sae = "),
        ("sl_v3_topk", "cfg.json", "activation_fn_kwargs", "activation_fn_kwargs: k: expected at most d_sae = "),
    ])
    func keysAreCalledAsInTheFile(name: String, file: String, key: String, message: String) throws {
        let temporary = try TemporaryFolder()
        let folder = temporary.file("sae")
        try FileManager.default.copyItem(atPath: fixture("peers/\(name)"), toPath: folder)
        var members = try #require(JSON.read("\(folder)/\(file)").object)
        if var inner = members[key]?.object {
            inner["k"] = 1_000_000
            members[key] = .object(inner)
        } else {
            members[key] = 1_000_000
        }
        try JSON.object(members).write(to: "\(folder)/\(file)", overwrite: true)
        #expect { try SparseAutoencoder(folder: folder) } throws: { "\($0)".contains(message) }
    }

    /// e¹⁰⁰ times an encoder's row is beyond single precision.
    @Test func gatesBeyondSinglePrecisionAreRefused() throws {
        let temporary = try TemporaryFolder()
        let folder = temporary.file("sae")
        try FileManager.default.copyItem(atPath: fixture("peers/sl_v6_gated"), toPath: folder)
        let path = "\(folder)/sae_weights.safetensors"
        let tensors = try SafetensorsFile(path: path).weights.map { weight in
            let values = weight.name == "r_mag" ? weight.floats().map { _ in Float(100) } : weight.floats()
            return (name: weight.name, tensor: Tensor(weight.shape, values))
        }
        try SafetensorsWriter.write(tensors, to: path, overwrite: true)
        #expect { try SparseAutoencoder(folder: folder) } throws: { "\($0)".contains("the encoder is infinite") }
    }

    @Test func unitNormSurvivesSAELens() throws {
        let temporary = try TemporaryFolder()
        var configuration = SAEConfiguration(inputWidth: 6, numLatents: 20, k: 4)
        (configuration.inputUnitNorm, configuration.normalizeDecoder) = (true, false)
        let autoencoder = randomAutoencoder(configuration)
        try SAELens.write(autoencoder, folder: temporary.path, hook: "unet.conv_in")
        let back = try SparseAutoencoder(folder: temporary.path)
        #expect(back.configuration == configuration && back.encoderWeight.array == autoencoder.encoderWeight.array)
    }

    /// Which tensor, in which file; for all three formats.
    @Test(arguments: [("sl_v2", "b_dec", Float.nan), ("sl_v6_gated", "r_mag", .infinity), ("sl_v2", "W_enc", -.infinity)])
    func weightThatIsNotFiniteIsRefused(name: String, tensor: String, value: Float) throws {
        let temporary = try TemporaryFolder()
        try FileManager.default.copyItem(atPath: fixture("peers/\(name)"), toPath: temporary.file("sae"))
        let path = temporary.file("sae/sae_weights.safetensors")
        let weights = try SafetensorsFile(path: path).weights.map { weight in
            var values = weight.floats()
            if weight.name == tensor { values[values.count / 2] = value }
            return (name: weight.name, tensor: Tensor(weight.shape, values))
        }
        try SafetensorsWriter.write(weights, to: path, overwrite: true)
        #expect { try SparseAutoencoder(folder: temporary.file("sae")) } throws: {
            "\($0)".contains("sae_weights.safetensors: tensor \(tensor) holds")
        }
    }

    @Test func publishedWeightThatIsNotFiniteIsRefused() throws {
        let temporary = try TemporaryFolder()
        let autoencoder = randomAutoencoder(SAEConfiguration(inputWidth: 6, numLatents: 20, k: 4))
        autoencoder.decoderWeight.pointer[7] = .nan
        try autoencoder.write(folder: temporary.path)
        #expect { try SparseAutoencoder(folder: temporary.path) } throws: {
            "\($0)".contains("sae.safetensors: tensor W_dec holds nan (element 7)")
        }
    }
}
