import CLVO
import Experiments
import Files
import Ops
import SparseAutoencoders
import Tensors

/// An opened autoencoder.
final class OpenAutoencoder {
    let autoencoder: SparseAutoencoder
    let engine: Engine
    let path: String?
    let layer: String?
    /// The encoder packed for many calls.
    private(set) lazy var encoder = FeatureEncoder(autoencoder, engine: engine)

    init(_ autoencoder: SparseAutoencoder, engine: Engine, path: String? = nil, layer: String? = nil) {
        (self.autoencoder, self.engine, self.path, self.layer) = (autoencoder, engine, path, layer)
    }

    static let keys = ["path", "layer"] + EngineSettings.keys

    /// - Throws: a `Failure` for settings or files that are no autoencoder.
    convenience init(_ settings: Settings) throws {
        let path = try settings.needed("path", settings.string("path"))
        let isEmbedded = path == EmbeddedModel.name
        let layer = try settings.string("layer") ?? (isEmbedded ? EmbeddedModel.layer : nil)
        let folder = try isEmbedded ? EmbeddedModel.autoencoders() : path
        let found = try layer.map { try SAEFolder.find(layer: $0.withoutPrefix("unet."), in: folder) } ?? folder
        try self.init(
            SparseAutoencoder(folder: found), engine: EngineSettings.engine(settings),
            path: isEmbedded ? path : found, layer: layer)
    }

    var description: JSON {
        let configuration = autoencoder.configuration
        return [
            "path": path.map { .string($0) } ?? .null, "layer": layer.map { .string($0) } ?? .null,
            "width": .integer(configuration.inputWidth), "features": .integer(configuration.numLatents),
            "k": .integer(configuration.k), "rule": .string(configuration.rule.rawValue),
            "counts_k": .bool(configuration.rule.countsK), "input_unit_norm": .bool(configuration.inputUnitNorm),
            "multi_topk": .bool(configuration.multiTopK), "normalize_decoder": .bool(configuration.normalizeDecoder),
            "prefixes": .array(configuration.prefixes.map { .integer($0) }),
            "precision": .string(engine.precision.rawValue), "threads": .integer(engine.threads.count),
        ]
    }

    /// Rows that are worked on at once, so that their features take 64 MB at most where all may be kept.
    var rowsAtOnce: Int {
        let (features, most) = (autoencoder.numLatents, Int(UInt32.max))
        let rows = autoencoder.configuration.rule.countsK ? 4096 : max(16, (8 << 20) / features)
        return max(1, min(rows, most / features))
    }
}

extension String {
    fileprivate func withoutPrefix(_ prefix: String) -> String {
        hasPrefix(prefix) ? String(dropFirst(prefix.count)) : self
    }
}

typealias AutoencoderBox = Box<OpenAutoencoder>

extension Box where Content == OpenAutoencoder {
    static func of(_ handle: OpaquePointer?) throws -> AutoencoderBox { try of(handle, "sae") }

    convenience init(_ content: OpenAutoencoder) { self.init("autoencoder", content) }
}

@c @implementation
public func lvo_sae_open(
    _ settings: UnsafePointer<CChar>?, _ sae: UnsafeMutablePointer<OpaquePointer?>?,
    _ error: UnsafeMutablePointer<lvo_error>?
) -> Int32 {
    report(to: error) {
        let place = try Argument.place(sae, "sae")
        place.pointee = AutoencoderBox(try OpenAutoencoder(Settings(settings, keys: OpenAutoencoder.keys))).handle
    }
}

@c @implementation
public func lvo_sae_close(_ sae: OpaquePointer?, _ error: UnsafeMutablePointer<lvo_error>?) -> Int32 {
    report(to: error) { try AutoencoderBox.of(sae).close() }
}

@c @implementation
public func lvo_sae_free(_ sae: OpaquePointer?) { AutoencoderBox.free(sae) }

@c @implementation
public func lvo_sae_cancel(_ sae: OpaquePointer?, _ error: UnsafeMutablePointer<lvo_error>?) -> Int32 {
    report(to: error) { try AutoencoderBox.of(sae).cancel() }
}

@c @implementation
public func lvo_sae_describe(
    _ sae: OpaquePointer?, _ json: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?,
    _ error: UnsafeMutablePointer<lvo_error>?
) -> Int32 {
    report(to: error) {
        let place = try Argument.place(json, "json")
        place.pointee = try AutoencoderBox.of(sae).take { sae, _ in sae.description.ownedText }
    }
}

@c @implementation
public func lvo_sae_parameters(
    _ sae: OpaquePointer?, _ result: UnsafeMutablePointer<OpaquePointer?>?, _ error: UnsafeMutablePointer<lvo_error>?
) -> Int32 {
    report(to: error) {
        let place = try Argument.place(result, "result")
        try AutoencoderBox.of(sae).take { sae, _ in
            let contents = ResultContents(sae.description)
            for parameter in sae.autoencoder.parameters { contents.add(parameter.name, parameter.tensor) }
            place.pointee = ResultBox(contents).handle
        }
    }
}

@c @implementation
public func lvo_sae_save(
    _ sae: OpaquePointer?, _ folder: UnsafePointer<CChar>?, _ format: UnsafePointer<CChar>?,
    _ dtype: UnsafePointer<CChar>?, _ layer: UnsafePointer<CChar>?, _ overwrite: Int32,
    _ error: UnsafeMutablePointer<lvo_error>?
) -> Int32 {
    report(to: error) {
        let folder = try Argument.text(folder, "folder")
        let dtypes: [String: DType] = ["f32": .f32, "f16": .f16, "bf16": .bf16]
        let (name, format) = (try Argument.text(dtype, "dtype"), try Argument.text(format, "format"))
        guard let dtype = dtypes[name] else { throw Refusal("dtype: expected f32, f16 or bf16, found \(name)") }
        let layer = try layer.map { try Argument.text($0, "layer") }
        try AutoencoderBox.of(sae).take { sae, _ in
            try OutputCheck.folder(folder)
            switch format {
            case "published": try sae.autoencoder.write(folder: folder, dtype: dtype, overwrite: overwrite != 0)
            case "saelens":
                try SAELens.write(
                    sae.autoencoder, folder: folder, hook: layer ?? sae.layer ?? "unknown", dtype: dtype,
                    overwrite: overwrite != 0)
            default: throw Refusal("format: expected published or saelens, found \(format)")
            }
        }
    }
}
