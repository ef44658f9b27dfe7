import Files
import Ops
import Tensors

/// Text to image and image to image: prompt → text encoder → sampler and U-Net → latent.
///
/// The same seed gives the picture that diffusers gives on a CPU in float32, up to rounding. Not to be used from
/// several threads at once: it keeps the last prompt's text conditioning, so that a batch encodes its prompt once.
public final class Generator {
    /// Tokenizer and text encoder.
    public let prompts: PromptEncoder
    /// Predicts the noise; loaded whole.
    public let unet: UNet
    /// Schedule, sampler and what the U-Net's output means.
    public let scheduler: SchedulerConfiguration
    /// Pixels per latent position along each axis.
    public let pixelFactor: Int
    private var lastText: (key: TextKey, text: GuidedText)?

    /// - Parameter pixelFactor: pixels per latent position along each axis, 8 for Stable Diffusion's VAE.
    public init(prompts: PromptEncoder, unet: UNet, scheduler: SchedulerConfiguration, pixelFactor: Int) {
        self.prompts = prompts
        self.unet = unet
        self.scheduler = scheduler
        self.pixelFactor = pixelFactor
    }

    /// The generator of a model folder.
    ///
    /// - Parameter prediction: forces what the U-Net's output means; nil: what the scheduler's file says.
    public convenience init(_ folder: ModelFolder, prediction: PredictionType? = nil, engine: Engine) throws {
        var scheduler = try folder.scheduler()
        scheduler.prediction = prediction ?? scheduler.prediction
        try self.init(
            prompts: PromptEncoder(folder, engine: engine), unet: folder.loadUNet(engine: engine),
            scheduler: scheduler, pixelFactor: folder.pixelFactor())
    }

    /// Where a generation starts.
    public enum Start: Sendable {
        case noise
        /// What the VAE's encoder says of a picture; `GenerationParameters.strength` says how much of it stays.
        case picture(LatentDistribution)
    }

    /// The latent `[1, 4, h, w]` of one picture.
    ///
    /// - Parameters:
    ///   - hooks: look at activations and edit them, in every U-Net call.
    ///   - progress: called after every U-Net call with its index and the number of calls; may throw to stop.
    /// Throws `SimpleFailure`: `.usage` for sizes and steps that cannot be, `.internalError` for a result that is not
    /// finite.
    public func latent(
        _ parameters: GenerationParameters, from start: Start = .noise, hooks: [GenerationHook] = [],
        progress: (_ call: Int, _ calls: Int) throws -> Void = { _, _ in }
    ) throws -> Tensor {
        var sampler = try scheduler.sampler(parameters.sampler, steps: parameters.steps)
        var random = TorchGenerator(seed: parameters.seed)
        var (sample, first) = try begin(parameters, start, sampler, &random)
        let shape = sample.shape
        let text = try text(of: parameters)
        for call in first..<sampler.timesteps.count {
            let scale = sampler.inputScale(at: call)
            let input = scale == 1 ? sample : weightedSum([(scale, sample)])
            let prediction = predict(input, call: call, timestep: sampler.timesteps[call], text, hooks)
            let output = guided(prediction, scale: parameters.guidanceScale)
            sample = sampler.step(output, at: call, sample: sample) { random.randn(shape) }
            try progress(call - first, sampler.timesteps.count - first)
        }
        guard sample.array.allSatisfy(\.isFinite) else {
            throw SimpleFailure(
                .internalError, "seed \(parameters.seed): the latent is not finite; weaken steering or guidance")
        }
        return sample
    }

    /// Pixels: what was asked for, or what the model was trained for.
    public func size(_ parameters: GenerationParameters) throws -> (width: Int, height: Int) {
        let standard = unet.config.sampleSize * pixelFactor
        let (width, height) = (parameters.width ?? standard, parameters.height ?? standard)
        let largest = 4096 * pixelFactor
        for side in [width, height] where !(pixelFactor...largest).contains(side) || side % pixelFactor != 0 {
            throw SimpleFailure(
                .usage, "\(width)×\(height) pixels: both sides must be multiples of \(pixelFactor), up to \(largest)")
        }
        return (width, height)
    }

    /// How many U-Net calls a picture takes.
    public func calls(_ parameters: GenerationParameters, fromPicture: Bool) throws -> Int {
        let sampler = try scheduler.sampler(parameters.sampler, steps: parameters.steps)
        return sampler.timesteps.count - (fromPicture ? sampler.call(ofStep: try skippedSteps(parameters)) : 0)
    }

    /// Steps that image to image leaves out at the start.
    private func skippedSteps(_ parameters: GenerationParameters) throws -> Int {
        let (steps, strength) = (parameters.steps, parameters.strength)
        guard (0...1).contains(strength) else {
            throw SimpleFailure(.usage, "strength \(strength): expected a number from 0 to 1")
        }
        let kept = Int(Double(steps) * strength)
        guard kept > 0 else { throw SimpleFailure(.usage, "strength \(strength) of \(steps) steps leaves none") }
        return steps - kept
    }

    /// The first sample and the index of the first call.
    private func begin(
        _ parameters: GenerationParameters, _ start: Start, _ sampler: any Sampler, _ random: inout TorchGenerator
    ) throws -> (sample: Tensor, first: Int) {
        switch start {
        case .noise:
            let (width, height) = try size(parameters)
            let channels = unet.config.inChannels
            let noise = random.randn([1, channels, height / pixelFactor, width / pixelFactor])
            return (weightedSum([(sampler.initialNoiseSigma, noise)]), 0)
        case .picture(let distribution):
            let skipped = sampler.call(ofStep: try skippedSteps(parameters))
            let shape = distribution.mean.shape
            let latent = distribution.latent(noise: random.randn(shape))
            return (sampler.addNoise(latent, noise: random.randn(shape), at: skipped), skipped)
        }
    }
}

/// The text conditioning of a prompt, with that of the negative prompt where there is guidance: a batch of two, which
/// goes through the U-Net in one call. Two calls of one took 20 % more time on the small model at 16×16 and 5 % more
/// on SD 1.5 at 64×64 (docs/performance.md), so there is no choice between them.
private struct GuidedText {
    let conditioning: TextConditioning
    let halves: [GuidanceHalf]
}

private struct TextKey: Equatable {
    let prompt: String
    /// nil without guidance.
    let negative: String?
    let clipSkip: Int
    let emphasis: Bool
}

extension Generator {
    private func text(of parameters: GenerationParameters) throws -> GuidedText {
        let key = TextKey(
            prompt: parameters.prompt, negative: parameters.isGuided ? parameters.negativePrompt : nil,
            clipSkip: parameters.clipSkip, emphasis: parameters.emphasis)
        if let last = lastText, last.key == key { return last.text }
        let chunks = key.emphasis
            ? [key.prompt, key.negative ?? ""].map(prompts.chunkCount).max() ?? 1 : 1
        func context(_ prompt: String, clipSkip: Int) throws -> Tensor {
            key.emphasis
                ? try prompts.encodeEmphasized([prompt], clipSkip: clipSkip, chunks: chunks).context
                : try prompts.encode([prompt], clipSkip: clipSkip).context
        }
        let conditional = try context(key.prompt, clipSkip: key.clipSkip)
        // diffusers leaves no layers out for the negative prompt, and its pictures are what seeds are compared by.
        let unconditional = try key.negative.map { try context($0, clipSkip: 0) }
        let text = GuidedText(
            conditioning: unet.prepare(context: unconditional.map { $0.stacked(on: conditional) } ?? conditional),
            halves: unconditional == nil ? [.conditional] : [.unconditional, .conditional])
        lastText = (key, text)
        return text
    }

    /// What the U-Net predicts, `[1 or 2, 4, h, w]`: the unconditional half first.
    private func predict(
        _ input: Tensor, call: Int, timestep: Float, _ text: GuidedText, _ hooks: [GenerationHook]
    ) -> Tensor {
        let pass = GenerationPass(call: call, timestep: timestep, halves: text.halves)
        let latent = pass.halves.count == 2 ? input.stacked(on: input) : input
        let time = unet.prepare(timestep: timestep)
        return unet.predict(latent, time: time, text: text.conditioning, observing: points(of: hooks)) {
            point, activation in
            var edited: Tensor?
            for hook in hooks where hook.point == point { edited = hook.visit(pass, edited ?? activation) ?? edited }
            return edited
        }
    }

    /// ε_u + g (ε_c − ε_u); a single prediction as it is.
    private func guided(_ prediction: Tensor, scale: Float) -> Tensor {
        guard prediction.shape[0] == 2 else { return prediction }
        let (unconditional, conditional) = (prediction.slice(0..<1), prediction.slice(1..<2))
        let difference = weightedSum([(1, conditional), (-1, unconditional)])
        return weightedSum([(1, unconditional), (scale, difference)])
    }

    private func points(of hooks: [GenerationHook]) -> [HookPoint] {
        var points: [HookPoint] = []
        for hook in hooks where !points.contains(hook.point) { points.append(hook.point) }
        return points
    }
}

extension Tensor {
    /// `[a + b, …]`: these samples, then those.
    fileprivate func stacked(on other: Tensor) -> Tensor {
        let result = Tensor([shape[0] + other.shape[0]] + shape.dropFirst())
        result.pointer.update(from: pointer, count: count)
        (result.pointer + count).update(from: other.pointer, count: other.count)
        return result
    }
}
