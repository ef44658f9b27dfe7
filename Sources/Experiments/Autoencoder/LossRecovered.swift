import Files
import Ops
import SparseAutoencoders
import StableDiffusion
import Tensors

/// The loss recovered by an autoencoder: the diffusion model's noise-prediction error with the layer's output
/// replaced by its reconstruction, between the model as it is (1) and the layer's output replaced by zero
/// (0).
///
///     recovered = (L_zero − L_reconstruction) / (L_zero − L_model),  L = mean (ε̂ − ε)²
public struct LossRecovered: Sendable {
    /// Mean squared errors of the predicted noise, (ε̂ − ε)².
    public struct Errors: Sendable {
        /// With the layer as it is.
        public var model = 0.0
        /// With the layer's output replaced by its reconstruction.
        public var reconstruction = 0.0
        /// With the layer's output replaced by zero.
        public var zero = 0.0
        /// 1: as good as the layer itself, 0: as bad as zeros. Not finite where zeros cost nothing.
        public var recovered: Double { (zero - reconstruction) / (zero - model) }
    }

    /// The errors by time step, from 0.
    public fileprivate(set) var byTimestep: [Int: Errors] = [:]

    /// Means over the time steps.
    public var whole: Errors {
        let count = Double(max(1, byTimestep.count))
        return byTimestep.sorted { $0.key < $1.key }.reduce(into: Errors()) { sum, step in
            sum.model += step.value.model / count
            sum.reconstruction += step.value.reconstruction / count
            sum.zero += step.value.zero / count
        }
    }

    /// `{"whole": …, "by_timestep": [{"timestep": …, "errors": …}]}`
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

extension LossRecovered {
    /// Draws a picture of each prompt, adds the schedule's noise of each time step to its latent, and
    /// predicts the noise three times. For models that predict noise.
    public struct Measurement {
        /// Draws the pictures; its U-Net is what is measured.
        public let generator: Generator
        /// One picture each.
        public let prompts: [Prompt]
        /// Of the pictures; prompt and seed are replaced.
        public var parameters = GenerationParameters()
        /// Time steps of 0…999 at which the loss is measured.
        public var timesteps = [101, 301, 501, 701, 901]
        /// Of the pictures' seeds.
        public var seed = 0

        /// Five time steps from 101 to 901. A picture's seed follows from its prompt and `seed`.
        public init(_ generator: Generator, prompts: [Prompt]) {
            (self.generator, self.prompts) = (generator, prompts)
        }

        /// - Parameter check: asked after every U-Net call; what it throws ends the measurement.
        /// - Throws: what `check` throws; `SimpleFailure` for an autoencoder of another width, a layer there
        ///   is none of, a time step that the schedule does not have, or a model that does not predict noise.
        public func run(
            _ autoencoder: SparseAutoencoder, layer: String, engine: Engine, check: () throws -> Void = {}
        ) throws -> LossRecovered {
            let point = try generator.unet.config.hookPoint(layer)
            try checkInputs(autoencoder, point)
            let replacements: [(WritableKeyPath<Errors, Double>, (Tensor) -> Tensor?)] = [
                (\.model, { _ in nil }),
                (\.reconstruction, { Self.reconstruction(of: $0, autoencoder, engine) }),
                (\.zero, { Tensor.zeros($0.shape) }),
            ]
            var result = LossRecovered()
            let share = 1 / Double(prompts.count)
            for prompt in prompts {
                let (latent, text, seed) = try draw(prompt, check)
                for timestep in timesteps {
                    let noise = CounterRandom(seed: seed, purpose: .noise, step: UInt64(timestep)).normals(latent.shape)
                    for (member, replace) in replacements {
                        let error = error(latent, noise, timestep, text, at: point, replace)
                        result.byTimestep[timestep, default: Errors()][keyPath: member] += share * error
                        try check()
                    }
                }
            }
            return result
        }

        private func checkInputs(_ autoencoder: SparseAutoencoder, _ point: HookPoint) throws {
            guard autoencoder.inputWidth == point.channels else {
                throw SimpleFailure(
                    .badData, "autoencoder of \(autoencoder.inputWidth) channels; \(point.name) has \(point.channels)")
            }
            guard generator.scheduler.prediction == .epsilon else {
                throw SimpleFailure(.usage, "loss recovered is defined for models that predict noise, not for this one")
            }
            let last = generator.scheduler.schedule.trainTimesteps - 1
            if let missing = timesteps.first(where: { !(0...last).contains($0) }) {
                throw SimpleFailure(.usage, "time step \(missing): this model's schedule has 0…\(last)")
            }
            if prompts.isEmpty { throw SimpleFailure(.usage, "no prompts to draw pictures of") }
        }

        private func draw(
            _ prompt: Prompt, _ check: () throws -> Void
        ) throws -> (latent: Tensor, text: TextConditioning, seed: UInt64) {
            var parameters = parameters
            parameters.prompt = prompt.text
            parameters.seed = UInt64(prompt.seed(study: seed, image: 0))
            let latent = try generator.latent(parameters) { _, _ in try check() }
            let (prompts, clipSkip) = (generator.prompts, parameters.clipSkip)
            let text = parameters.emphasis
                ? try prompts.encodeEmphasized([prompt.text], clipSkip: clipSkip)
                : try prompts.encode([prompt.text], clipSkip: clipSkip)
            return (latent, generator.unet.prepare(context: text.context), parameters.seed)
        }

        /// mean (ε̂ − ε)² with the layer's output replaced.
        private func error(
            _ latent: Tensor, _ noise: Tensor, _ timestep: Int, _ text: TextConditioning, at point: HookPoint,
            _ replace: @escaping (Tensor) -> Tensor?
        ) -> Double {
            let noisy = generator.scheduler.schedule.addNoise(latent, noise: noise, timestep: timestep)
            let time = generator.unet.prepare(timestep: Float(timestep))
            let output = generator.unet.predict(noisy, time: time, text: text, observing: [point]) { replace($1) }
            let sum = zip(output.array, noise.array).reduce(0) { sum, pair in
                sum + Double(pair.0 - pair.1) * Double(pair.0 - pair.1)
            }
            return sum / Double(noise.count)
        }

        private static func reconstruction(
            of activation: Tensor, _ autoencoder: SparseAutoencoder, _ engine: Engine
        ) -> Tensor {
            let rows = activation.reshaped([activation.rows, activation.channels])
            let codes = autoencoder.encode(rows, engine: engine)
            return autoencoder.decode(codes, of: rows, engine: engine).reshaped(activation.shape)
        }
    }
}
