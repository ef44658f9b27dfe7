import Checkpoints
import Ops
import Tensors

/// The U-Net of a latent diffusion model (`UNet2DConditionModel`) as an ordered list of blocks with a stack
/// of skips, loaded up to a hook point or whole.
///
/// On an engine in bfloat16 the transformers and convolutions between the first and the last round their operands;
/// `conv_in`, `conv_out`, the time embedding, norms and the sums along the residual stream stay float32.
///
/// Latents are `[B, 4, H, W]` at this edge, activations `[B, h·w, C]`. Results do not depend on the thread
/// count.
public final class UNet: Sendable {
    /// Its configuration.
    public let config: UNetConfig
    /// The engine it runs on.
    public let engine: Engine
    let blocks: [UNetBlock]
    private let time: TimeEmbedding

    /// Packs the weights of all blocks up to the one that holds `end`; all of them if it is nil.
    /// - Throws: `FileFailure` for missing or misshapen tensors.
    public convenience init(config: UNetConfig, weights: WeightStore, upTo end: HookPoint? = nil, engine: Engine) throws {
        let build = LayerBuilder(weights: weights, engine: engine)
        // Block by block, so that packed weights and file pages together never exceed one model.
        self.init(build, config: config, upTo: end) { weights.releasePages() }
        try build.finish()
    }

    /// - Parameter made: called after each block.
    init(_ build: LayerBuilder, config: UNetConfig, upTo end: HookPoint? = nil, made: () -> Void = {}) {
        self.config = config
        engine = build.engine
        time = TimeEmbedding(build.inFloat32, config: config)
        blocks = config.blocks().prefix(end.map { $0.block + 1 } ?? .max).map {
            defer { made() }
            return UNetBlock($0, config: config, build: build)
        }
    }

    /// Whether the weights up to and including `hook`'s block are there; nil: all of them.
    public func reaches(_ hook: HookPoint?) -> Bool { (hook?.block ?? config.blocks().count - 1) < blocks.count }

    /// The time step's share of the computation.
    /// - Parameter timestep: 0…999; fractional values are allowed (Euler's schedule has them).
    public func prepare(timestep: Float) -> TimeConditioning { prepare(timesteps: [timestep]) }

    /// The same for samples at time steps of their own.
    /// - Parameter timesteps: one for all samples, or one each.
    /// - Precondition: there is at least one.
    public func prepare(timesteps: [Float]) -> TimeConditioning {
        let embedding = time.forward(timesteps)
        let biases = blocks.compactMap { block -> Tensor? in
            if case .resnet(let layers) = block.layers { layers.timeBias(embedding) } else { nil }
        }
        return TimeConditioning(timesteps: timesteps, biases: biases)
    }

    /// The text's share of the computation.
    /// - Parameter context: the text encoder's hidden states, `[B or 1, T, C]`.
    /// - Precondition: C is the configuration's `contextWidth`.
    public func prepare(context: Tensor) -> TextConditioning {
        precondition(
            context.shape.count == 3 && context.channels == config.contextWidth,
            "context \(context.shape), expected [B, T, \(config.contextWidth)]")
        let keysValues = blocks.compactMap { block -> KeyValue? in
            if case .transformer(let layers) = block.layers { layers.attn2.keyValue(context) } else { nil }
        }
        return TextConditioning(batch: context.shape[0], keysValues: keysValues)
    }

    /// Walks the blocks up to `end`, calling `record` after each with its vector-Jacobian product, if
    /// `differentiated`. What `record` throws ends the walk.
    func walk(
        _ latent: Tensor, through end: HookPoint?, time: TimeConditioning, text: TextConditioning,
        observing hooks: [HookPoint] = [], visit: @escaping HookVisitor = { _, _ in nil },
        differentiated: Bool = false,
        record: (_ step: WalkStep, _ vjp: @escaping VectorJacobianProduct) throws -> Void
    ) rethrows -> Tensor {
        let last = end?.block ?? config.blocks().count - 1
        check(latent, time, text, last)
        let batch = latent.shape[0]
        var x = latent.channelsLast(in: engine.workspace)
        var skips: [Tensor] = []
        for (index, block) in blocks[...last].enumerated() {
            let description = block.description
            let observer = BlockObserver(hooks: hooks.filter { $0.block == index }, visit: visit)
            let blockEnd = index == last ? end?.inner ?? .output : .output
            let call: BlockCall =
                switch block.layers {
                case .convolution(let layers): .convolution(layers)
                case .upsample(let layers):
                    .upsample(layers, size: (skips[skips.count - 1].shape[1], skips[skips.count - 1].shape[2]), engine: engine)
                case .resnet(let layers):
                    .resnet(
                        layers, timeBias: time.biases[description.ordinal].repeated(batch, in: engine.workspace),
                        skip: description.skipSource == nil ? nil : skips.removeLast(), engine: engine)
                case .transformer(let layers):
                    .transformer(
                        layers,
                        SpatialTransformer.Call(
                            text: text.keysValues[description.ordinal], end: blockEnd, observer: observer,
                            isDifferentiated: differentiated))
                case .output(let head): .output(head)
                }
            let input = x
            let (y, vjp) = call.forward(input)
            try record(WalkStep(index: index, description: description, call: call, input: input), vjp)
            x = blockEnd == .output ? observer.see(.output, y) ?? y : y
            if description.isSkipSource { skips.append(x) }
        }
        return x
    }

    private func check(_ latent: Tensor, _ time: TimeConditioning, _ text: TextConditioning, _ last: Int) {
        precondition(
            latent.shape.count == 4 && latent.shape[1] == config.inChannels,
            "latent \(latent.shape), expected [B, \(config.inChannels), H, W]")
        precondition(
            text.batch == 1 || text.batch == latent.shape[0],
            "context batch \(text.batch) with latent batch \(latent.shape[0])")
        precondition(
            time.timesteps.count == 1 || time.timesteps.count == latent.shape[0],
            "\(time.timesteps.count) time steps with latent batch \(latent.shape[0])")
        precondition(last < blocks.count, "U-Net loaded up to \(blocks.last?.description.name ?? "nothing")")
        func count(_ kind: BlockDescription.Kind) -> Int { blocks.count { $0.description.kind == kind } }
        precondition(
            time.biases.count == count(.resnet) && text.keysValues.count == count(.transformer),
            "time step or text prepared by another U-Net")
    }
}

/// One executed block of a walk: enough to run it again.
struct WalkStep {
    let index: Int
    let description: BlockDescription
    let call: BlockCall
    let input: Tensor
}

extension UNetConfig {
    /// Every tensor that the U-Net's layers ask for, named as diffusers names it.
    public var manifest: Manifest { Manifest(of: { _ = UNet($0, config: self) }) }
}

extension Tensor {
    /// `[1, C]` as `[count, C]`; one that has as many rows already as it is.
    fileprivate func repeated(_ count: Int, in workspace: Workspace) -> Tensor {
        if shape[0] == count { return self }
        let result = Tensor([count, channels], in: workspace)
        for row in 0..<count { (result.pointer + row * channels).update(from: pointer, count: channels) }
        return result
    }
}
