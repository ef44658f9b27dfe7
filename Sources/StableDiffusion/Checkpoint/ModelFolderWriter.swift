import Checkpoints
import Files
import Tensors

/// Writes a model as a clean diffusers folder: today's names, one file per component, nothing left over.
public enum ModelFolderWriter {
    /// - Parameters:
    ///   - dtype: `f16` or `f32`, for every weight.
    ///   - tokenizer: writes one into a folder, for a source that has none.
    /// - Throws: `FileFailure`, also for a weight that half precision cannot hold.
    public static func write(
        _ source: ModelSource, to folder: String, dtype: DType, overwrite: Bool,
        tokenizer: ((_ folder: String) throws -> Void)? = nil
    ) throws {
        try OutputFile.makeFolder(folder)
        try OutputFile.makeFolder(folder + "/scheduler")
        let index = ModelFolderFiles.modelIndex(tokenizer: source.tokenizerFolder != nil || tokenizer != nil)
        try index.write(to: folder + "/model_index.json", overwrite: overwrite)
        try source.scheduler().json.write(to: folder + "/scheduler/scheduler_config.json", overwrite: overwrite)
        if let own = source.tokenizerFolder {
            try copyTokenizer(from: own, to: folder + "/tokenizer", overwrite: overwrite)
        } else {
            try tokenizer?(folder + "/tokenizer")
        }
        for component in ModelComponent.allCases {
            try write(component, of: source, to: "\(folder)/\(component.rawValue)", dtype: dtype, overwrite: overwrite)
        }
    }

    private static func write(
        _ component: ModelComponent, of source: ModelSource, to folder: String, dtype: DType, overwrite: Bool
    ) throws {
        let contents = try source.component(component)
        try OutputFile.makeFolder(folder)
        try contents.config.json.write(to: folder + "/config.json", overwrite: overwrite)
        let entries = try component.manifest(contents.config).tensors.map {
            SafetensorsWriter.Entry(name: $0.name, dtype: dtype, shape: $0.shape)
        }
        try SafetensorsWriter.stream(
            entries, metadata: ["format": "pt"], to: "\(folder)/\(component.weightsName).safetensors",
            overwrite: overwrite
        ) { entry, sink in
            let weight = try contents.weights.take(entry.name, shape: entry.shape)
            if dtype == .f16 { try checkRange(weight, file: contents.weights.file) }
            try weight.write(as: dtype, into: sink)
        }
    }

    /// Finite weights must stay finite: half precision ends at 65504.
    private static func checkRange(_ weight: Weight, file: String) throws(FileFailure) {
        guard weight.dtype != .f16 else { return }
        if let value = weight.floats().first(where: { $0.isFinite && abs($0) >= 65520 }) {
            throw .unsupported(
                file: file, found: "tensor \(weight.name) holds \(value), beyond half precision",
                advice: "convert to f32")
        }
    }

    private static func copyTokenizer(from: String, to: String, overwrite: Bool) throws {
        try OutputFile.makeFolder(to)
        for name in TokenizerFolder.files where FileSystem.isFile("\(from)/\(name)") {
            try OutputFile.copy("\(from)/\(name)", to: "\(to)/\(name)", overwrite: overwrite)
        }
    }
}
