import Checkpoints
import Foundation
import Ops
import Tensors

/// A model folder in diffusers layout: `unet/`, `vae/`, `text_encoder/`, `tokenizer/`, `scheduler/`. Which of them must
/// be there depends on what is asked for; `unet/` alone is enough to probe with a given context.
public struct ModelFolder: Sendable {
    public let path: String
    /// Contents of `unet/config.json`.
    public let unetConfig: UNetConfig

    /// - Throws: `Failure` if there is no such folder, or it is not a model folder.
    public init(_ path: String) throws {
        self.path = path
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
            throw SimpleFailure(.missingInput, "\(path): no such folder; --model takes a folder in diffusers layout")
        }
        guard isFolder.boolValue else {
            throw SimpleFailure(
                .badData, "\(path): is a file; --model takes a folder in diffusers layout (unet/config.json inside)")
        }
        guard FileManager.default.fileExists(atPath: path + "/unet/config.json") else {
            throw SimpleFailure(
                .missingInput,
                "\(path): not a model folder, unet/config.json is missing; --model takes a folder in diffusers layout")
        }
        unetConfig = try UNetConfig(ConfigFile(path: path + "/unet/config.json"))
    }

    public func hasComponent(_ component: ModelComponent) -> Bool {
        FileManager.default.fileExists(atPath: "\(path)/\(component.rawValue)/config.json")
    }

    public var hasTokenizer: Bool { FileManager.default.fileExists(atPath: path + "/tokenizer/vocab.json") }

    public func config(_ component: ModelComponent) throws -> ConfigFile {
        try ConfigFile(path: "\(path)/\(component.rawValue)/config.json")
    }

    /// The component's tensors, every name and shape checked against what its configuration implies.
    /// - Throws: `CheckpointFailure` naming file, tensor, expected and found.
    public func weights(_ component: ModelComponent) throws -> WeightStore {
        let store = try WeightStore(path: try weightsPath(component), component: component)
        try store.verify(component.manifest(config(component)))
        return store
    }

    /// Full precision first, then half; one file first, then parts.
    private func weightsPath(_ component: ModelComponent) throws -> String {
        let base = "\(path)/\(component.rawValue)/\(component.weightsName)"
        let candidates = [".safetensors", ".fp16.safetensors", ".safetensors.index.json", ".safetensors.index.fp16.json"]
        for candidate in candidates where FileManager.default.fileExists(atPath: base + candidate) {
            return base + candidate
        }
        throw CheckpointFailure.cannotRead(
            file: base + ".safetensors", reason: "no such file (nor \(candidates.dropFirst().joined(separator: ", ")))")
    }

    /// Loads the U-Net, up to and including `hook`'s stage if one is given.
    public func loadUNet(upTo hook: HookPoint? = nil, engine: Engine) throws -> UNet {
        try UNet(config: unetConfig, weights: weights(.unet), upTo: hook, engine: engine)
    }

    /// Bytes of the weights up to and including `hook`'s stage, as they are kept: F16 as it is, all else as float32.
    public func weightBytes(upTo hook: HookPoint? = nil) throws -> Int {
        let isHalf = try weights(.unet).dtypes.keys.allSatisfy { $0 == .f16 }
        let parameters = unetConfig.cost(to: hook, LatentSize(height: 1, width: 1)).parameters
        return parameters * (isHalf ? 2 : 4)
    }

    /// Which stages keep their activations for a gradient from `hook` to latents of that size. Loads nothing.
    /// - Throws: `SimpleFailure(.usage)` with the numbers when `budget` cannot hold it.
    public func memoryPlan(to hook: HookPoint, _ size: LatentSize, budget: Int?) throws -> MemoryPlan {
        try MemoryPlan(unetConfig, to: hook, size, weightBytes: weightBytes(upTo: hook), budget: budget)
    }

    public func loadTextEncoder(engine: Engine) throws -> TextEncoder {
        try TextEncoder(
            config: TextEncoderConfig(config(.textEncoder)), weights: weights(.textEncoder), engine: engine)
    }

    public func vaeConfig() throws -> VAEConfig { try VAEConfig(config(.vae)) }

    public func loadVAEDecoder(engine: Engine) throws -> VAEDecoder {
        try VAEDecoder(config: vaeConfig(), weights: weights(.vae), engine: engine)
    }

    public func loadVAEEncoder(engine: Engine) throws -> VAEEncoder {
        try VAEEncoder(config: vaeConfig(), weights: weights(.vae), engine: engine)
    }

    /// Pixels per latent position: the VAE's, or 8 (Stable Diffusion's) in a folder without one.
    public func pixelFactor() throws -> Int { hasComponent(.vae) ? try vaeConfig().pixelFactor : 8 }

    /// Height and width of a latent for a picture of that many pixels; the model's own size where nil.
    /// - Throws: `SimpleFailure(.usage)` if a side is not a multiple of the pixel factor.
    public func latentSize(pixelWidth: Int?, pixelHeight: Int?) throws -> (height: Int, width: Int) {
        let factor = try pixelFactor()
        func side(_ pixels: Int?, _ name: String) throws -> Int {
            guard let pixels else { return unetConfig.sampleSize }
            guard pixels > 0, pixels % factor == 0, pixels / factor <= 4096 else {
                throw SimpleFailure(
                    .usage, "\(name) \(pixels): expected a positive multiple of \(factor), up to \(4096 * factor)")
            }
            return pixels / factor
        }
        return (try side(pixelHeight, "height"), try side(pixelWidth, "width"))
    }
}
