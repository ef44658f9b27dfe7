import Files
import Foundation
import Ops
import Pictures
import SparseAutoencoders
import StableDiffusion
import Visualization

/// A Stable Diffusion model with sparse autoencoders of its layers, as a study sees it. Loaded piece by piece, when a
/// stage first needs it: a status or a report reads no weights.
public final class NetworkModel: StudyModel {
    public let name: String
    let engine: Engine
    private let folder: ModelFolder
    private let autoencoderRoot: String
    /// Bytes the process may use, for the choice of what a backward pass keeps; nil: everything is kept.
    private let memoryBudget: Int?
    private let checksums: ChecksumCache
    private var loaded = Loaded()

    private struct Loaded {
        var identity: JSON?
        var autoencoders: [String: FeatureEncoder] = [:]
        var autoencoderIdentities: [String: JSON] = [:]
        var generator: Generator?
        var decoder: VAEDecoder?
        var contexts: [String: TextConditioning] = [:]
    }

    /// - Parameters:
    ///   - path: of the model's folder.
    ///   - autoencoders: folder of one autoencoder, or of several named by layer; empty: none.
    ///   - cache: file that remembers checksums of large files by size and time of change.
    /// - Throws: a `Failure` if it is not a model folder.
    public init(path: String, autoencoders: String, engine: Engine, memoryBudget: Int? = nil, cache: String) throws {
        folder = try ModelFolder(path)
        name = URL(fileURLWithPath: path).lastPathComponent
        autoencoderRoot = autoencoders
        self.engine = engine
        self.memoryBudget = memoryBudget
        checksums = ChecksumCache(path: cache)
    }

    public func identity() throws -> JSON {
        if let known = loaded.identity { return known }
        let identity = JSON.string(try checksums.fingerprint(folder: folder.path))
        loaded.identity = identity
        return identity
    }

    public func identity(of site: Site) throws -> JSON {
        guard site.space == .features else { return .null }
        if let known = loaded.autoencoderIdentities[site.layer] { return known }
        let identity = JSON.string(try checksums.fingerprint(folder: autoencoderFolder(site.layer)))
        loaded.autoencoderIdentities[site.layer] = identity
        return identity
    }

    public func width(of site: Site) throws -> Int {
        let hook = try hook(site.layer)
        return site.space == .channels ? hook.channels : try encoder(site.layer).autoencoder.numLatents
    }

    func hook(_ layer: String) throws -> HookPoint { try folder.unetConfig.hookPoint(layer) }

    func encoder(_ layer: String) throws -> FeatureEncoder {
        if let known = loaded.autoencoders[layer] { return known }
        let path = try autoencoderFolder(layer)
        let autoencoder = try SparseAutoencoder(folder: path)
        let channels = try hook(layer).channels
        guard autoencoder.inputWidth == channels else {
            throw SimpleFailure(.badData, "\(path): made for \(autoencoder.inputWidth) channels, \(layer) has \(channels)")
        }
        let encoder = FeatureEncoder(autoencoder, engine: engine)
        loaded.autoencoders[layer] = encoder
        return encoder
    }

    private func autoencoderFolder(_ layer: String) throws -> String {
        let name = try hook(layer).name
        let candidates = [autoencoderRoot, "\(autoencoderRoot)/unet.\(name)", "\(autoencoderRoot)/\(name)"]
        guard let found = candidates.first(where: { FileManager.default.fileExists(atPath: $0 + "/cfg.json") }) else {
            throw SimpleFailure(
                .missingInput, "\(autoencoderRoot): no sparse autoencoder for \(name) (cfg.json, or unet.\(name)/cfg.json)")
        }
        return found
    }

    func generator() throws -> Generator {
        if let known = loaded.generator { return known }
        let generator = try Generator(folder, engine: engine)
        loaded.generator = generator
        return generator
    }

    func decoder() throws -> VAEDecoder {
        if let known = loaded.decoder { return known }
        let decoder = try folder.loadVAEDecoder(engine: engine)
        loaded.decoder = decoder
        return decoder
    }

    /// What the U-Net is told by a prompt.
    package func text(_ prompt: String) throws -> TextConditioning {
        if let known = loaded.contexts[prompt] { return known }
        let generator = try generator()
        let context = try generator.prompts.encode([prompt]).context
        let text = generator.unet.prepare(context: context)
        loaded.contexts[prompt] = text
        return text
    }

    /// The layer under a prompt, for optimization of `batch` latents of a size.
    func dreamer(_ layer: String, prompt: String, size: LatentSize) throws -> Dreamer {
        let hook = try hook(layer)
        let plan = try folder.memoryPlan(to: hook, size, budget: memoryBudget)
        let generator = try generator()
        return Dreamer(
            unet: generator.unet, hook: hook, text: try text(prompt), schedule: generator.scheduler.schedule,
            policies: plan.policies)
    }

    /// Height and width of latents for pictures of a size.
    func latentSize(_ settings: DrawSettings) throws -> (height: Int, width: Int) {
        try folder.latentSize(pixelWidth: settings.width, pixelHeight: settings.height)
    }

    var latentChannels: Int { folder.unetConfig.layout.inChannels }
}
