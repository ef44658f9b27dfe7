import Files
import SparseAutoencoders
import StableDiffusion

/// The identity of a model by its contents: a checksum for each part, independent of the files' names and
/// places.
///
///     unet, vae, text_encoder   configuration, and names, types, shapes and bytes of all tensors
///     tokenizer                 the folder's files; `clip` for CLIP's published one; absent without any
///     scheduler                 its configuration
///     lora:FILE                 the file's bytes and the scale
///     embedding:WORD            the word and its vectors
///     precision                 of the U-Net's products; absent for float32
///
/// The same weights in a folder and in a single file have the same checksums where the configurations agree.
public struct ModelIdentity: Sendable, Equatable {
    /// An object with a member per part.
    public let json: JSON

    /// - Parameter json: the `json` of another identity, as read back from a record.
    public init(json: JSON) { self.json = json }

    /// SHA-256 over all parts.
    public var fingerprint: String { Fingerprint.of(json) }

    /// The parts that differ, or that only one of the two has, sorted.
    public func changes(from other: ModelIdentity) -> [String] {
        let names = Set((json.object?.keys ?? []) + (other.json.object?.keys ?? []))
        return names.filter { json[$0] != other.json[$0] }.sorted()
    }
}

extension ModelSession {
    /// The model's identity, for the keys of results. Reads every weight the first time, later only sizes and
    /// times of files.
    ///
    /// - Throws: a `Failure` for files that cannot be read.
    public func identity() throws -> ModelIdentity {
        if let known = knownIdentity { return known }
        var parts = JSONObject()
        for component in ModelComponent.allCases where folder.hasComponent(component) {
            parts[component.rawValue] = .string(try checksum(component))
        }
        parts["tokenizer"] = try tokenizerChecksum().map { .string($0) }
        parts["scheduler"] = .string(Fingerprint.of(try folder.source.scheduler().json))
        for lora in reference.loras { try add(lora, to: &parts) }
        for word in folder.source.embeddings { parts["embedding:" + word.token] = .string(word.fingerprint) }
        parts["precision"] = engine.precision.recorded.map { .string($0) }
        let identity = ModelIdentity(json: .object(parts))
        knownIdentity = identity
        return identity
    }

    /// Checksum of a layer's sparse autoencoder.
    ///
    /// - Throws: `SimpleFailure(.missingInput)` if there is none.
    public func autoencoderIdentity(_ layer: String) throws -> JSON {
        try autoencoderIdentity(folder: autoencoderFolder(layer))
    }

    /// Checksum of a sparse autoencoder in a folder.
    package func autoencoderIdentity(folder path: String) throws -> JSON {
        let files = (SAEFolder.format(of: path)?.files ?? []).filter { FileSystem.isFile("\(path)/\($0)") }
        return .string(try checksums.fingerprint(folder: path, files: files))
    }

    private func checksum(_ component: ModelComponent) throws -> String {
        let store = try folder.source.storedWeights(component)
        let weights = try checksums.checksum("\(store.file)#\(component.rawValue)", of: store.files) {
            store.fingerprint()
        }
        return Fingerprint.of([try folder.config(component).json, .string(weights)])
    }

    private func tokenizerChecksum() throws -> String? {
        if let path = folder.tokenizerFolder {
            return try checksums.fingerprint(folder: path, files: FileSystem.files(in: path))
        }
        guard folder.hasComponent(.textEncoder),
            try TextEncoderConfig(folder.config(.textEncoder)).vocabularySize == Vocabulary.clipCount
        else { return nil }
        return "clip"
    }

    private func add(_ lora: ModelReference.LoRA, to parts: inout JSONObject) throws {
        let path = reference.resolved(lora.path)
        let name = "lora:" + (path.split(separator: "/").last.map(String.init) ?? path)
        let configuration = FileSystem.parent(path) + "/adapter_config.json"
        let files = [path] + (FileSystem.isFile(configuration) ? [configuration] : [])
        let merged: JSON = [.float(lora.scale), .array(try files.map { .string(try checksums.fingerprint(file: $0)) })]
        parts[name] = .string(Fingerprint.of([parts[name] ?? .null, merged]))
    }
}
