import Checkpoints
import Files
import Ops

/// A model as users have it: a folder in diffusers layout, or a single file in the original naming. Which parts must be
/// there depends on what is asked for; `unet/` alone is enough to probe with a given context.
public struct ModelFolder: Sendable {
    /// Where it lies, as it was asked for.
    public let path: String
    /// Its files: tensors and configurations, with LoRAs and a separate VAE if any were given.
    public let source: ModelSource
    /// The U-Net's configuration.
    public let unetConfig: UNetConfig
    /// Where networks find their filters packed; nil: they are packed whenever a network is loaded.
    private var packs: NetworkPacks?

    /// - Throws: `Failure` if there is no such folder or file, or it is not a model of this kind.
    public init(_ path: String) throws {
        try self.init(ModelSource(path: path))
    }

    /// A model that is open already.
    /// - Throws: `Failure` if it has no U-Net, or one that this program does not run.
    public init(_ source: ModelSource) throws {
        path = source.path
        self.source = source
        guard source.hasComponent(.unet) else {
            throw SimpleFailure(
                .missingInput,
                "\(path): not a model, unet/config.json is missing; a model is a folder in diffusers layout or a single "
                    + ".safetensors or .ckpt file")
        }
        unetConfig = try UNetConfig(source.config(.unet))
    }

    /// Whether the model has that network.
    public func hasComponent(_ component: ModelComponent) -> Bool { source.hasComponent(component) }

    /// The folder with the tokenizer's vocabulary, if there is one.
    public var tokenizerFolder: String? { source.tokenizerFolder }

    /// The configuration of one network, as its file or its tensors' shapes tell it.
    /// - Throws: `FileFailure` if it is missing or no JSON object.
    public func config(_ component: ModelComponent) throws -> ConfigFile { try source.config(component) }

    /// The component's tensors, every name and shape checked against what its configuration implies.
    /// - Throws: `FileFailure` naming file, tensor, expected and found.
    public func weights(_ component: ModelComponent) throws -> WeightStore { try source.component(component).weights }

    /// Bytes of the weights up to and including `hook`'s block, as they are kept: in float32 F16 as it is, all else as
    /// float32; in bfloat16 two bytes each.
    public func weightBytes(upTo hook: HookPoint? = nil, precision: Precision = .float32) throws -> Int {
        let isHalf = try precision == .bfloat16 || weights(.unet).dtypes.keys.allSatisfy { $0 == .f16 }
        let parameters = unetConfig.cost(to: hook, LatentSize(height: 1, width: 1)).parameters
        return parameters * (isHalf ? 2 : 4)
    }

    /// Which blocks keep their activations for a gradient from `hook` to latents of that size. Loads nothing.
    /// - Parameter whole: whether all of the U-Net's weights are loaded, as for drawing again.
    /// - Throws: `SimpleFailure(.usage)` with the numbers when `budget` cannot hold it.
    public func memoryPlan(
        to hook: HookPoint, _ size: LatentSize, budget: Int?, whole: Bool = false, precision: Precision = .float32
    ) throws -> MemoryPlan {
        try MemoryPlan(
            unetConfig, to: hook, size, weightBytes: weightBytes(upTo: whole ? nil : hook, precision: precision),
            budget: budget)
    }

    /// The VAE's configuration.
    /// - Throws: `FileFailure` if it is missing or not supported.
    public func vaeConfig() throws -> VAEConfig { try VAEConfig(config(.vae)) }

    /// Pixels per latent position: the VAE's, or 8 (Stable Diffusion's) in a folder without one.
    public func pixelFactor() throws -> Int { hasComponent(.vae) ? try vaeConfig().pixelFactor : 8 }

    /// Height and width of a latent for a picture of that many pixels; the model's own size where nil.
    /// - Throws: `SimpleFailure(.usage)` if a side is not a multiple of the pixel factor.
    public func latentSize(pixelWidth: Int?, pixelHeight: Int?) throws -> (height: Int, width: Int) {
        let factor = try pixelFactor()
        func side(_ pixels: Int?, _ name: String) throws -> Int {
            guard let pixels else { return unetConfig.sampleSize }
            guard pixels > 0, pixels % factor == 0, pixels / factor <= UNetConfig.largestSide else {
                throw SimpleFailure(
                    .usage,
                    "\(name) \(pixels): expected a positive multiple of \(factor), up to \(UNetConfig.largestSide * factor)")
            }
            return pixels / factor
        }
        return (try side(pixelHeight, "height"), try side(pixelWidth, "width"))
    }
}

/// Loading networks.
extension ModelFolder {
    /// The same files, with networks whose filters are packed once and kept.
    public func keeping(_ packs: NetworkPacks?) -> ModelFolder {
        var folder = self
        folder.packs = packs
        return folder
    }

    /// Loads the U-Net, up to and including `hook`'s block if one is given.
    /// - Throws: `FileFailure` naming the tensor that is missing or misshapen.
    public func loadUNet(upTo hook: HookPoint? = nil, engine: Engine) throws -> UNet {
        let weights = try weights(.unet)
        // Block by block, so that packed weights and file pages together never exceed one model.
        func layers(_ build: LayerBuilder, _ hook: HookPoint?) -> UNet {
            UNet(build, config: unetConfig, upTo: hook) { weights.releasePages() }
        }
        let whole = try packs?.network("unet", of: .unet, weights, engine) { _ = layers($0, nil) }
        return try load(weights, whole, engine) { layers($0, hook) }
    }

    /// Loads the text encoder.
    /// - Throws: `FileFailure` for a configuration that is not supported, or tensors that do not fit it.
    public func loadTextEncoder(engine: Engine) throws -> TextEncoder {
        let config = try TextEncoderConfig(config(.textEncoder))
        return try loadWhole("text encoder", of: .textEncoder, engine.inFloat32) {
            TextEncoder($0, config: config, addedRows: source.embeddings.flatMap(\.values))
        }
    }

    /// Loads the half of the VAE that makes pictures of latents.
    /// - Throws: `FileFailure` for a configuration that is not supported, or tensors that do not fit it.
    public func loadVAEDecoder(engine: Engine) throws -> VAEDecoder {
        let config = try vaeConfig()
        return try loadWhole("vae decoder", of: .vae, engine) { VAEDecoder($0, config: config) }
    }

    /// Loads the half of the VAE that makes latents of pictures.
    /// - Throws: as `loadVAEDecoder`.
    public func loadVAEEncoder(engine: Engine) throws -> VAEEncoder {
        let config = try vaeConfig()
        return try loadWhole("vae encoder", of: .vae, engine.inFloat32) { VAEEncoder($0, config: config) }
    }

    private func loadWhole<Network>(
        _ name: String, of component: ModelComponent, _ engine: Engine, layers: (LayerBuilder) -> Network
    ) throws -> Network {
        let weights = try weights(component)
        let packed = try packs?.network(name, of: component, weights, engine) { _ = layers($0) }
        return try load(weights, packed, engine, layers: layers)
    }

    private func load<Network>(
        _ weights: WeightStore, _ packed: PackedNetwork?, _ engine: Engine, layers: (LayerBuilder) -> Network
    ) throws -> Network {
        let build = LayerBuilder(weights: weights, packed: packed, engine: engine)
        let network = layers(build)
        try build.finish()
        weights.releasePages()
        return network
    }
}
