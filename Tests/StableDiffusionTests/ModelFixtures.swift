import Checkpoints
import Files
import Foundation
import Ops
import StableDiffusion
import Tensors
import TestSupport

/// Reference values computed by diffusers and transformers in float32, and the small models they belong to. Weights
/// are synthetic: made from tensor names, so no weights file is needed.
struct ModelGolden {
    let name: String
    let json: JSON
    private let tensors: Golden

    init(_ name: String) throws {
        self.name = name
        json = try JSON.read(Self.path(name + ".json"))
        tensors = try Golden(name + ".safetensors", in: .module)
    }

    static func path(_ name: String) -> String { Bundle.module.bundlePath + "/Fixtures/" + name }

    var names: [String] { tensors.names }

    func tensor(_ name: String) throws -> Tensor { try tensors.tensor(name) }

    func ids(_ name: String) throws -> [[Int]] {
        // Ids are small: exact in float32.
        let tensor = try tensor(name)
        return (0..<tensor.shape[0]).map { row in
            (0..<tensor.shape[1]).map { Int(tensor.pointer[row * tensor.shape[1] + $0]) }
        }
    }

    /// The configuration inside the JSON, with some keys replaced.
    func config(_ changes: [String: JSON] = [:]) throws -> ConfigFile {
        guard var object = json["config"]?.object else { throw SimpleFailure(.badData, "\(name).json has no config") }
        for (key, value) in changes { object[key] = value }
        return try ConfigFile(file: name, json: .object(object))
    }
}

/// A small U-Net with the inputs and outputs that the reference recorded for it.
struct UNetFixture {
    let golden: ModelGolden
    let config: UNetConfig
    let engine: Engine
    let latent: Tensor
    let context: Tensor
    let timestep: Float

    init(_ name: String, threads: Int = 2) throws {
        golden = try ModelGolden(name)
        config = try UNetConfig(golden.config())
        engine = try Engine(threads: threads)
        latent = try golden.tensor("latent")
        context = try golden.tensor("context")
        timestep = Float(golden.json["timestep"]?.double ?? .nan)
    }

    var hooks: [(name: String, channel: Int)] {
        (golden.json["hooks"]?.object?.map { ($0.key, $0.value["channel"]?.int ?? -1) }) ?? []
    }

    func unet(upTo hook: HookPoint? = nil) throws -> UNet {
        try UNet(config: config, weights: SyntheticWeights.store(config.manifest), upTo: hook, engine: engine)
    }
}

/// ‖a − b‖ / ‖b‖; infinity if either holds a number that is not finite.
func relativeError(_ a: Tensor, _ b: Tensor) -> Double {
    precondition(a.shape == b.shape, "comparing \(a.shape) with \(b.shape)")
    return Comparison(a.array.map(Double.init), b.array.map(Double.init)).relative
}

/// Mean over positions, `[B, N, D] → [B, D]`.
func positionMean(_ activation: Tensor) -> Tensor {
    let (batch, positions, channels) = (activation.shape[0], activation.shape[1], activation.shape[2])
    let mean = Tensor([batch, channels])
    for b in 0..<batch {
        for c in 0..<channels {
            let sum = (0..<positions).reduce(0.0) {
                $0 + Double(activation.pointer[(b * positions + $1) * channels + c])
            }
            mean.pointer[b * channels + c] = Float(sum / Double(positions))
        }
    }
    return mean
}

/// The gradient of −mean(activation[…, channel]) at the activation.
func channelCotangent(_ shape: [Int], channel: Int) -> Tensor {
    let gradient = Tensor.zeros(shape)
    for row in 0..<gradient.rows { gradient.pointer[row * gradient.channels + channel] = -1 / Float(gradient.rows) }
    return gradient
}
