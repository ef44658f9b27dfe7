import Experiments
import Files
import Pictures
import StableDiffusion
import Tensors

extension NetworkModel {
    public func latent(of picture: Bitmap) throws -> Tensor {
        try session.pictureEncoder().encode(picture.tensor()).latent()
    }

    public func response(to latent: Tensor, timesteps: [Int]) throws -> NetworkResponse {
        let (unet, text) = try session.wholeUNet()
        let (schedule, prediction) = (try session.schedule(), try session.folder.scheduler().prediction)
        let ends = unet.config.levelEnds
        var activations: [HookPoint: [[Float]]] = [:]
        let errors = try timesteps.map { timestep -> Float in
            try schedule.check(timestep: Double(timestep))
            // As in `Dreamer.observe`, the same for whatever is looked at.
            let noise = CounterRandom(seed: 0, purpose: .noise, unit: UInt64(timestep), step: .max).normals(latent.shape)
            let output = unet.predict(
                schedule.addNoise(latent, noise: noise, timestep: timestep),
                time: unet.prepare(timestep: Float(timestep)), text: text, observing: ends
            ) { hook, activation in
                activations[hook, default: []].append(activation.positionMeans().array)
                return nil
            }
            let target = prediction.target(latent, noise: noise, shares: schedule.shares(at: timestep))
            return Self.meanSquaredError(output, target)
        }
        return NetworkResponse(
            errors: errors, levels: ends.map { (name: $0.name, activations: activations[$0] ?? []) })
    }

    private static func meanSquaredError(_ a: Tensor, _ b: Tensor) -> Float {
        var sum = 0.0
        for i in 0..<a.count {
            let difference = Double(a.pointer[i]) - Double(b.pointer[i])
            sum += difference * difference
        }
        return Float(sum / Double(a.count))
    }
}

extension UNetConfig {
    /// The last resnet or transformer of every level on the way down, of the middle, and of every level on the way up.
    var levelEnds: [HookPoint] {
        var ends: [(level: String, name: String)] = []
        for block in blocks() where block.kind == .resnet || block.kind == .transformer {
            let parts = block.name.split(separator: ".")
            let level = parts.prefix(parts[0] == "mid_block" ? 1 : 2).joined(separator: ".")
            if ends.last?.level == level { ends.removeLast() }
            ends.append((level, block.name))
        }
        return hookPoints().filter { point in ends.contains { $0.name == point.name } }
    }
}
