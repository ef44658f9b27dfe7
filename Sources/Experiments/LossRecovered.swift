import Files
import Ops
import SparseAutoencoders
import StableDiffusion
import Tensors

/// What an autoencoder costs the diffusion model: the noise-prediction error with the layer's output replaced by its
/// reconstruction, between the model as it is (1) and the layer's output replaced by zero (0).
///
///     recovered = (L_zero − L_reconstruction) / (L_zero − L_model),  L = mean (ε̂ − ε)²
public struct LossRecovered: Sendable {
    public struct Errors: Sendable {
        public var model = 0.0
        public var reconstruction = 0.0
        public var zero = 0.0
        public var recovered: Double { (zero - reconstruction) / (zero - model) }
    }

    public private(set) var byTimestep: [Int: Errors] = [:]

    /// Means over the time steps.
    public var whole: Errors {
        let count = Double(max(1, byTimestep.count))
        return byTimestep.sorted { $0.key < $1.key }.reduce(into: Errors()) { sum, step in
            sum.model += step.value.model / count
            sum.reconstruction += step.value.reconstruction / count
            sum.zero += step.value.zero / count
        }
    }

    /// Draws the prompts' pictures, makes their latents as noisy as the schedule makes each time step, and predicts the
    /// noise three times. For models that predict noise.
    public init(
        _ autoencoder: SparseAutoencoder, layer: String, generator: Generator, prompts: [Prompt],
        parameters: GenerationParameters, timesteps: [Int], seed: Int, engine: Engine, check: () throws -> Void
    ) throws {
        let point = try generator.unet.config.hookPoint(layer)
        guard autoencoder.inputWidth == point.channels else {
            throw SimpleFailure(
                .badData, "autoencoder of \(autoencoder.inputWidth) channels; \(layer) has \(point.channels)")
        }
        guard generator.scheduler.prediction == .epsilon else {
            throw SimpleFailure(.usage, "loss recovered is defined for models that predict noise, not for this one")
        }
        for prompt in prompts {
            var parameters = parameters
            parameters.prompt = prompt.text
            parameters.seed = UInt64(prompt.seed(study: seed, image: 0))
            let latent = try generator.latent(parameters) { _, _ in try check() }
            let text = try generator.unet.prepare(context: generator.prompts.encode([prompt.text]).context)
            for timestep in timesteps {
                let noise = CounterRandom(
                    seed: parameters.seed, purpose: .noise, step: UInt64(timestep)
                ).normals(latent.shape)
                let noisy = generator.scheduler.schedule.addNoise(latent, noise: noise, timestep: timestep)
                func error(_ replace: @escaping (Tensor) -> Tensor?) -> Double {
                    let output = generator.unet.predict(
                        noisy, time: generator.unet.prepare(timestep: Float(timestep)), text: text,
                        observing: [point]
                    ) { _, activation in replace(activation) }
                    return zip(output.array, noise.array).reduce(0) { sum, pair in
                        sum + Double(pair.0 - pair.1) * Double(pair.0 - pair.1)
                    } / Double(noise.count)
                }
                var errors = byTimestep[timestep] ?? Errors()
                let share = 1 / Double(prompts.count)
                errors.model += share * error { _ in nil }
                errors.reconstruction += share * error { activation in
                    let rows = activation.reshaped([activation.rows, activation.channels])
                    let codes = autoencoder.encode(rows, engine: engine)
                    return autoencoder.decode(codes, of: rows, engine: engine).reshaped(activation.shape)
                }
                errors.zero += share * error { Tensor.zeros($0.shape) }
                byTimestep[timestep] = errors
                try check()
            }
        }
    }

    public var json: JSON {
        func object(_ errors: Errors) -> JSON {
            [
                "error_model": .number(errors.model), "error_reconstruction": .number(errors.reconstruction),
                "error_zero": .number(errors.zero), "recovered": .number(errors.recovered),
            ]
        }
        return [
            "whole": object(whole),
            "by_timestep": .array(
                byTimestep.sorted { $0.key < $1.key }.map {
                    ["timestep": .integer($0.key), "errors": object($0.value)]
                }),
        ]
    }
}
