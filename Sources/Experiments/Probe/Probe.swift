import Files
import Ops
import StableDiffusion
import Tensors
import Visualization

/// One run of the U-Net up to a layer: its activations, and the gradient of an objective at the latent.
public struct Probe: Sendable {
    /// The layer; nil: only the U-Net's output is wanted.
    public var layer: String?
    /// 0…999; fractions are allowed.
    public var timestep: Float
    /// `[B, 4, h, w]`
    public var latents: Tensor
    /// The text that the U-Net gets.
    public var text = TextSource()
    /// The channel, feature or direction that is the objective, over positions by `where`, and averaged over the batch;
    /// features after the ReLU.
    public var readout: Readout?
    /// Where in the map the objective looks.
    public var `where` = Where.mean
    /// Whether the gradient of −objective at the latents is wanted.
    public var wantsGradient = false
    /// Whether the whole U-Net runs, and its output is wanted.
    public var wantsPrediction = false

    /// One forward pass, without an objective.
    public init(layer: String?, timestep: Float, latents: Tensor) {
        (self.layer, self.timestep, self.latents) = (layer, timestep, latents)
    }

    /// What a forward and perhaps a backward pass gave; nil: it was not asked for.
    public struct Result: Sendable {
        /// `[B, N, D]`
        public var activations: Tensor?
        /// The readout, averaged over batch and positions.
        public var objective: Float?
        /// Of −objective, `[B, 4, h, w]`.
        public var gradient: Tensor?
        /// The U-Net's output, `[B, 4, h, w]`.
        public var prediction: Tensor?

        /// The results by their names in files: `gradient`, `eps`, `activations`, their `mean` over positions
        /// `[B, D]`, `objective` `[1]`.
        public var tensors: [(name: String, tensor: Tensor)] {
            let all = [
                ("gradient", gradient), ("eps", prediction), ("activations", activations),
                ("mean", activations.map { $0.positionMeans() }), ("objective", objective.map { Tensor([1], [$0]) }),
            ]
            return all.compactMap { name, tensor in tensor.map { (name, $0) } }
        }
    }

    /// The memory plan of the gradient; nil without one. A shortage is reported before anything is loaded.
    ///
    /// - Throws: `MemoryShortage`; `SimpleFailure(.usage)` for a layer there is none of.
    public func memoryPlan(_ session: ModelSession) throws -> MemoryPlan? {
        guard wantsGradient, let hook = try layer.map(session.hook) else { return nil }
        return try session.memoryPlan(
            to: hook, LatentSize(batch: latents.shape[0], height: latents.shape[2], width: latents.shape[3]))
    }

    /// - Throws: `SimpleFailure`: `.usage` for a layer, channel or feature there is none of, a time step
    ///   outside the schedule, or a gradient of nothing; `.badData` for a text of another number of samples;
    ///   a `Failure` for a part of the model that is missing or damaged.
    public func run(_ session: ModelSession) throws -> Result {
        let hook = try layer.map(session.hook)
        try session.check(timestep: Double(timestep))
        try check(hook)
        let plan = try memoryPlan(session)
        let context = try session.text(text).context
        guard [1, latents.shape[0]].contains(context.shape[0]) else {
            throw SimpleFailure(
                .badData,
                "context for \(context.shape[0]) samples with \(latents.shape[0]) latents; expected 1 or as many")
        }
        plan?.enforce(on: session.engine)
        let whole = wantsPrediction ? nil : hook
        let unet = try whole.map(session.unet) ?? session.loadable().loadUNet(engine: session.engine)
        return result(unet, hook, plan, unet.prepare(context: context), try objective(hook, session))
    }

    /// The mean over the batch, reduced over positions.
    private func objective(_ hook: HookPoint?, _ session: ModelSession) throws -> BatchObjective? {
        guard let hook, let readout else { return nil }
        let size = (latents.shape[2], latents.shape[3])
        let pooling = try self.where.pooling(of: hook, latents: size, in: session.reference)
        return BatchObjective(readout: readout, pooling: pooling, engine: session.engine)
    }

    private func check(_ hook: HookPoint?) throws {
        func expect(_ condition: Bool, _ message: String) throws {
            if !condition { throw SimpleFailure(.usage, message) }
        }
        try expect(hook != nil || wantsPrediction, "neither a layer nor the U-Net's output is asked for")
        try expect(hook != nil || readout == nil, "an objective needs a layer")
        try expect(readout != nil || !wantsGradient, "a gradient needs an objective")
        if let readout, let hook {
            try Objective([.init(readout)]).check(width: hook.channels, layer: hook.name)
        }
    }

    private func result(
        _ unet: UNet, _ hook: HookPoint?, _ plan: MemoryPlan?, _ text: TextConditioning, _ objective: BatchObjective?
    ) -> Result {
        let time = unet.prepare(timestep: timestep)
        var result = Result()
        if let hook, let plan, let objective {
            let trace = unet.forward(latents, to: hook, time: time, text: text, policies: plan.policies)
            result.activations = trace.activation
            result.gradient = unet.backward(trace, gradient: objective.minusGradient(trace.activation))
        } else if let hook, !wantsPrediction {
            result.activations = unet.activation(latents, at: hook, time: time, text: text)
        }
        if wantsPrediction {
            var seen: Tensor?
            result.prediction = unet.predict(latents, time: time, text: text, observing: hook.map { [$0] } ?? []) {
                seen = $1
                return nil
            }
            result.activations = result.activations ?? seen
        }
        if let objective, let activations = result.activations { result.objective = objective.value(activations) }
        return result
    }
}

extension Probe {
    /// Noise latents `[seeds, C, h, w]`, one for each seed, drawn as PyTorch does.
    ///
    /// - Parameters:
    ///   - seeds: at least one.
    ///   - width: pixels; nil: the model's own.
    /// - Throws: `SimpleFailure(.usage)` for a size that cannot be.
    public static func noise(
        seeds: [UInt64], width: Int? = nil, height: Int? = nil, of session: ModelSession
    ) throws -> Tensor {
        let size = try session.folder.latentSize(pixelWidth: width, pixelHeight: height)
        let channels = session.folder.unetConfig.inChannels
        let result = Tensor([seeds.count, channels, size.height, size.width])
        for (index, seed) in seeds.enumerated() {
            var generator = TorchGenerator(seed: seed)
            let noise = generator.randn([1, channels, size.height, size.width])
            (result.pointer + index * noise.count).update(from: noise.pointer, count: noise.count)
        }
        return result
    }
}

/// A readout's mean over a batch, reduced over positions in each sample.
private struct BatchObjective {
    let readout: Readout
    let pooling: Pooling
    let engine: Engine

    func value(_ activation: Tensor) -> Float {
        let (parts, objective) = (parts(activation), Objective([.init(readout)], pooling: pooling))
        let values = parts.map { objective.value($0, rectifier: .relu, engine: engine) }
        return Float(values.reduce(0, +) / Double(parts.count))
    }

    /// Of −value at the activation `[B, N, D]`.
    func minusGradient(_ activation: Tensor) -> Tensor {
        let parts = parts(activation)
        let minus = Objective([.init(readout, weight: -1 / Float(parts.count))], pooling: pooling)
        let gradients = parts.map { minus.evaluate($0, rectifier: .relu, engine: engine).gradient }
        return Tensor(activation.shape, gradients.flatMap(\.array))
    }

    /// `[B, N, D] → B of [N, D]`; for the mean one of `[B·N, D]`, which comes to the same.
    private func parts(_ activation: Tensor) -> [Tensor] {
        let (batch, rows) = (activation.shape[0], activation.rows)
        if pooling == .mean { return [activation.reshaped([rows, activation.channels])] }
        return (0..<batch).map { activation.slice($0..<$0 + 1).reshaped([rows / batch, activation.channels]) }
    }
}
