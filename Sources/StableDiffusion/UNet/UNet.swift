import Checkpoints
import Ops
import Tensors

/// The U-Net of a latent diffusion model (`UNet2DConditionModel`) as an ordered list of stages with a stack of skips,
/// loaded up to a hook point or whole.
///
/// Latents are `[B, 4, H, W]` at this edge, activations `[B, h·w, C]`. Results do not depend on the thread count.
public final class UNet: Sendable {
    public let config: UNetConfig
    public let engine: Engine
    /// Descriptions of all stages of the network, loaded or not.
    public let descriptions: [StageDescription]
    let stages: [Stage]
    private let time: TimeEmbedding

    /// Packs the weights of all stages up to the one that holds `end`; all of them if it is nil.
    /// - Throws: `FileFailure` for missing or misshapen tensors.
    public init(config: UNetConfig, weights: WeightStore, upTo end: HookPoint? = nil, engine: Engine) throws {
        self.config = config
        self.engine = engine
        descriptions = config.stages()
        let needed = descriptions[...(end?.stage ?? descriptions.count - 1)]
        let build = LayerBuilder(weights: weights, engine: engine)
        time = try TimeEmbedding(build, config: config, stages: needed)
        stages = try needed.map { description in
            // Stage by stage, so that packed weights and file pages together never exceed one model.
            defer { weights.releasePages() }
            return try Stage(description, config: config, build: build)
        }
    }

    /// Whether the weights up to and including `hook`'s stage are there.
    public func reaches(_ hook: HookPoint) -> Bool { hook.stage < stages.count }

    /// - Parameter timestep: 0…999; fractional values are allowed (Euler's schedule has them).
    public func prepare(timestep: Float) -> TimeConditioning { time.conditioning(timestep) }

    /// - Parameter context: the text encoder's hidden states, `[B or 1, T, C]`.
    public func prepare(context: Tensor) -> TextConditioning {
        precondition(
            context.shape.count == 3 && context.channels == config.layout.contextWidth,
            "context \(context.shape), expected [B, T, \(config.layout.contextWidth)]")
        let keysValues = stages.map { stage -> KeyValue? in
            if case .transformer(let block) = stage.layers { block.attn2.keyValue(context) } else { nil }
        }
        return TextConditioning(batch: context.shape[0], keysValues: keysValues)
    }

    /// What stage `index` gets for the latents of a batch.
    private func stageContext(
        _ index: Int, _ time: TimeConditioning, _ text: TextConditioning, batch: Int
    ) -> Stage.Context {
        var context = Stage.Context()
        context.timeBias = time.biases[index].map { $0.repeated(batch, in: engine.workspace) }
        context.text = text.keysValues[index]
        return context
    }

    /// Walks the stages up to `end`, calling `record` after each with what backward will need,
    /// if it is `differentiated`.
    func walk(
        _ latent: Tensor, through end: HookPoint?, time: TimeConditioning, text: TextConditioning,
        observing hooks: [HookPoint] = [], visit: @escaping HookVisitor = { _, _ in nil },
        differentiated: Bool = false,
        record: (_ step: WalkStep, _ pullback: @escaping Pullback) -> Void = { _, _ in }
    ) -> Tensor {
        check(latent, text)
        let last = end?.stage ?? descriptions.count - 1
        precondition(last < stages.count, "U-Net loaded up to \(stages.last?.description.name ?? "nothing")")
        var x = latent.channelsLast(in: engine.workspace)
        var skips: [Tensor] = []
        for (index, stage) in stages[...last].enumerated() {
            var context = stageContext(index, time, text, batch: latent.shape[0])
            if stage.description.skipSource != nil { context.skip = skips.removeLast() }
            if let next = skips.last { context.size = (next.shape[1], next.shape[2]) }
            if index == last { context.end = end?.inner ?? .output }
            let observer = InnerObserver(hooks: hooks.filter { $0.stage == index }, visit: visit)
            context.isDifferentiated = differentiated
            context.observer = observer.hooks.isEmpty ? nil : observer
            let input = x
            let (y, pullback) = stage.forward(input, context)
            record(WalkStep(index: index, stage: stage, input: input, context: context), pullback)
            x = context.end == .output ? observer.see(.output, y) ?? y : y
            if stage.description.isSkipSource { skips.append(x) }
        }
        return x
    }

    private func check(_ latent: Tensor, _ text: TextConditioning) {
        precondition(
            latent.shape.count == 4 && latent.shape[1] == config.layout.inChannels,
            "latent \(latent.shape), expected [B, \(config.layout.inChannels), H, W]")
        precondition(
            text.batch == 1 || text.batch == latent.shape[0],
            "context batch \(text.batch) with latent batch \(latent.shape[0])")
    }
}

/// One executed stage of a walk: enough to run it again.
struct WalkStep {
    let index: Int
    let stage: Stage
    let input: Tensor
    let context: Stage.Context
}

extension Tensor {
    /// `[1, C]` as `[count, C]`.
    fileprivate func repeated(_ count: Int, in workspace: Workspace) -> Tensor {
        if count == 1 { return self }
        let result = Tensor([count, channels], in: workspace)
        for row in 0..<count { (result.pointer + row * channels).update(from: pointer, count: channels) }
        return result
    }
}
