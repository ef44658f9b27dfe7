import Files
import Foundation
import Ops
import SparseAutoencoders
import Tensors
import TestSupport
import Testing

/// Damaged folders of autoencoders: one file of a sound folder is replaced, and what is still accepted is run.
@Suite(.serialized) struct FuzzTests {
    struct PropertyError: Error {}

    private static let words = [
        "null", "true", "-1", "0", "1e308", "1073741824", "4611686018427387904", "0.5", "\"topk\"", "\"jumprelu\"",
        "\"gated\"", "\"layer_norm\"", "[]", "{}", "\"k\":", "\"threshold\"", "F16", "BF16", "[0]",
    ]

    private func check(_ name: String, folders: [String], file: String, share: Double) throws {
        let scratch = try TemporaryFolder()
        let engine = try Engine(threads: 1)
        var corpus: [[UInt8]] = []
        for (index, folder) in folders.enumerated() {
            try FileManager.default.copyItem(atPath: fixture(folder), toPath: scratch.file("\(index)"))
            corpus.append([UInt8](try Data(contentsOf: URL(fileURLWithPath: scratch.file("\(index)/\(file)")))))
        }
        var number = 0
        FuzzCampaign(name, corpus: corpus, words: Self.words).check(300, share: share) { input in
            let folder = scratch.file("\(number % folders.count)")
            number += 1
            try Data(input.bytes).write(to: URL(fileURLWithPath: "\(folder)/\(file)"))
            let autoencoder = try SparseAutoencoder(folder: folder)
            let x = Tensor([2, autoencoder.inputWidth], [Float](repeating: 0.5, count: 2 * autoencoder.inputWidth))
            let codes = autoencoder.encode(x, engine: engine)
            guard autoencoder.decode(codes, of: x, engine: engine).shape == x.shape else { throw PropertyError() }
        }
    }

    private static let saeLens = ["sl_v2", "sl_v3_topk", "sl_v6_topk_norm", "sl_v6_jumprelu", "sl_v6_gated"]
        .map { "peers/" + $0 }
    private static let dictionaries = ["dl_standard", "dl_gated", "dl_jumprelu", "dl_topk", "dl_matryoshka"]
        .map { "peers/" + $0 }
    private static let sparsify = ["sae_folder/unet.up_blocks.1.attentions.1"]

    @Test func saeLensConfigurations() throws {
        try check("SAELens cfg", folders: Self.saeLens, file: "cfg.json", share: 0.25)
    }

    @Test func saeLensWeights() throws {
        try check("SAELens weights", folders: Self.saeLens, file: "sae_weights.safetensors", share: 0.25)
    }

    @Test func dictionaryLearningConfigurations() throws {
        try check("dictionary_learning config", folders: Self.dictionaries, file: "config.json", share: 0.25)
    }

    @Test func dictionaryLearningWeights() throws {
        try check("dictionary_learning weights", folders: Self.dictionaries, file: "ae.pt", share: 0.25)
    }

    @Test func sparsifyConfigurations() throws {
        try check("sparsify cfg", folders: Self.sparsify, file: "cfg.json", share: 0.25)
    }

    @Test func sparsifyWeights() throws {
        try check("sparsify weights", folders: Self.sparsify, file: "sae.safetensors", share: 0.25)
    }
}
