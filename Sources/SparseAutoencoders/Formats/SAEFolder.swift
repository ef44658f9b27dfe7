import Checkpoints
import Files
import Foundation
import Ops
import Tensors

/// Folders that hold an autoencoder.
public enum SAEFolder {
    /// Whose files a folder holds, told apart by their names.
    public enum Format: String, Sendable, CaseIterable {
        /// `cfg.json`, `sae.safetensors`: SAeUron, EleutherAI's sparsify, and this program.
        case published
        /// `cfg.json`, `sae_weights.safetensors`: SAELens.
        case saeLens
        /// `config.json`, `ae.pt`: dictionary_learning.
        case dictionaryLearning

        /// The file of the weights.
        public var weightsFile: String {
            switch self {
            case .published: "sae.safetensors"
            case .saeLens: "sae_weights.safetensors"
            case .dictionaryLearning: "ae.pt"
            }
        }

        /// All files on which the function depends.
        public var files: [String] { [self == .dictionaryLearning ? "config.json" : "cfg.json", weightsFile] }
    }

    /// What the folder holds; nil if it is no autoencoder's. One with a `cfg.json` alone counts as published, so that
    /// opening it names what is missing.
    public static func format(of folder: String) -> Format? {
        func has(_ name: String) -> Bool { FileManager.default.fileExists(atPath: "\(folder)/\(name)") }
        return Format.allCases.first { has($0.weightsFile) } ?? (has("cfg.json") ? .published : nil)
    }

    /// The folder of a layer's autoencoder: `root` itself, or its subfolder called like the layer, with or without
    /// `unet.` before it.
    ///
    /// - Throws: `SimpleFailure(.missingInput)` if none of them holds one.
    public static func find(layer: String, in root: String) throws -> String {
        let candidates = [root, "\(root)/unet.\(layer)", "\(root)/\(layer)"]
        guard let found = candidates.first(where: { format(of: $0) != nil }) else {
            let files = Format.allCases.map(\.weightsFile).joined(separator: ", ")
            throw SimpleFailure(
                .missingInput, "\(root): no sparse autoencoder for \(layer) (\(files), there or in unet.\(layer)/)")
        }
        return found
    }
}

extension SparseAutoencoder {
    /// Reads a folder of any of `SAEFolder.Format`. Other programs' variants are rewritten without a change of the
    /// function, so that features and reconstructions are those of the program that wrote it.
    ///
    /// - Throws: `SimpleFailure(.missingInput)` if it holds no autoencoder; `FileFailure` naming file, key or tensor,
    ///   expected and found.
    public convenience init(folder: String) throws {
        switch SAEFolder.format(of: folder) {
        case .published: try self.init(published: folder)
        case .saeLens: try self.init(SAELens.weights(folder: folder))
        case .dictionaryLearning: try self.init(DictionaryLearning.weights(folder: folder))
        case nil:
            let files = SAEFolder.Format.allCases.map(\.weightsFile).joined(separator: ", ")
            throw SimpleFailure(.missingInput, "\(folder): none of \(files) is in it; give an autoencoder's folder")
        }
    }

    /// `encoder.weight [L,D]`, `encoder.bias [L]`, `W_dec [L,D]`, `b_dec [D]`, and `threshold [L]` for JumpReLU, which the
    /// programs of this format do not have. Tensors may be f32, f16 or bf16.
    private convenience init(published folder: String) throws {
        let configuration = try SAEConfiguration(ConfigFile(path: "\(folder)/cfg.json"))
        let store = try WeightStore(path: "\(folder)/sae.safetensors")
        let (d, l) = (configuration.inputWidth, configuration.numLatents)
        try self.init(
            configuration: configuration, encoderWeight: store.own("encoder.weight", [l, d]),
            encoderBias: store.own("encoder.bias", [l]), decoderWeight: store.own("W_dec", [l, d]),
            decoderBias: store.own("b_dec", [d]),
            threshold: configuration.rule == .jumpReLU ? store.own("threshold", [l]) : nil)
        try store.finish()
    }

    /// Writes `cfg.json` and `sae.safetensors` into `folder`, which is made if it is missing.
    ///
    /// - Parameter precision: of the training's products; `cfg.json` says so unless it is float32.
    /// - Throws: `FileFailure.exists` or `.cannotWrite`.
    public func write(
        folder: String, dtype: DType = .f32, trainedIn precision: Precision = .float32, overwrite: Bool = false
    ) throws {
        try OutputFile.makeFolder(folder)
        try SafetensorsWriter.write(
            parameters, to: "\(folder)/sae.safetensors", overwrite: overwrite, dtype: dtype)
        var object = configuration.json.object ?? JSONObject()
        object["precision"] = precision.recorded.map { .string($0) }
        try JSON.object(object).write(to: "\(folder)/cfg.json", overwrite: overwrite)
    }
}
