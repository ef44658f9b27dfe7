import Ops
import Tensors

/// The gradient of a stage: from the gradient at its output to those at its input and at the skip it took.
/// It holds what the stage's forward saved, or the inputs from which to compute that again.
typealias Pullback = (_ dy: Tensor) -> (dInput: Tensor, dSkip: Tensor?)

/// A stage with its layers: what `StageDescription` names.
struct Stage: Sendable {
    enum Layers: Sendable {
        case convolutionIn(Convolution)
        case resnet(ResnetBlock)
        case transformer(SpatialTransformer)
        case downsample(Convolution)
        case upsample(Convolution)
        case output(OutputHead)
    }
    let description: StageDescription
    let layers: Layers
    let engine: Engine

    init(_ description: StageDescription, config: UNetConfig, build: LayerBuilder) throws {
        let module = build.at(description.name)
        let (input, output) = (description.inChannels, description.outChannels)
        self.description = description
        engine = build.engine
        switch description.kind {
        case .convolutionIn:
            layers = .convolutionIn(try build.convolution(description.name, input, output))
        case .resnet:
            layers = .resnet(
                try ResnetBlock(
                    module, inChannels: input + description.skipChannels, outChannels: output,
                    groups: config.normNumGroups, epsilon: config.normEps))
        case .transformer:
            layers = .transformer(
                try SpatialTransformer(module, channels: output, heads: description.heads, config: config))
        case .downsample: layers = .downsample(try module.convolution("conv", input, output, stride: 2))
        case .upsample: layers = .upsample(try module.convolution("conv", input, output))
        case .output: layers = .output(try OutputHead(build, config: config))
        }
    }

    /// What a stage gets beside its input.
    struct Context {
        /// Popped from the skip stack (resnets of the way up).
        var skip: Tensor?
        /// The size of the skip that comes next, to which an upsampler enlarges.
        var size: (height: Int, width: Int) = (0, 0)
        /// `[B or 1, Cout]`, the time step's share (resnets).
        var timeBias: Tensor?
        /// The text's keys and values (transformers).
        var text: KeyValue?
        /// Where to stop inside (transformers).
        var end = InnerPoint.output
        var observer: InnerObserver?
        /// Whether the pullback will be called.
        var isDifferentiated = true
    }

    /// Computes the stage for `x [B,h,w,C]`.
    func forward(_ x: Tensor, _ context: Context) -> (y: Tensor, pullback: Pullback) {
        switch layers {
        case .convolutionIn(let convolution), .downsample(let convolution):
            let shape = x.shape
            return (convolution.forward(x), { (convolution.backwardInput($0, inputShape: shape), nil) })
        case .resnet(let block): return forward(block, x, context)
        case .transformer(let block):
            guard let text = context.text else { preconditionFailure("\(description.name) needs a text") }
            let (y, saved) = block.forward(
                x, text: text, upTo: context.end, observer: context.observer, keeping: context.isDifferentiated)
            let end = context.end
            return (y, { (block.backwardInput($0, saved: saved, from: end), nil) })
        case .upsample(let convolution):
            let (shape, engine) = (x.shape, engine)
            let wide = Resample.upsampleNearest(x, to: context.size, engine: engine)
            let wideShape = wide.shape
            return (
                convolution.forward(consume wide),
                { dy in
                    let dWide = convolution.backwardInput(dy, inputShape: wideShape)
                    return (Resample.upsampleNearestBackward(dWide, inputShape: shape, engine: engine), nil)
                }
            )
        case .output(let head):
            let (y, saved) = head.forward(x)
            return (y, { (head.backwardInput($0, saved: saved), nil) })
        }
    }

    private func forward(_ block: ResnetBlock, _ x: Tensor, _ context: Context) -> (y: Tensor, pullback: Pullback) {
        guard let skip = context.skip else {
            let (y, saved) = block.forward(x, timeBias: context.timeBias)
            return (y, { (block.backwardInput($0, saved: saved), nil) })
        }
        let engine = engine
        let channels = (x.channels, skip.channels)
        let (y, saved) = block.forward(Concat.forward(x, skip, engine: engine), timeBias: context.timeBias)
        return (
            y,
            { dy in
                let dJoined = block.backwardInput(dy, saved: saved)
                let (dx, dSkip) = Concat.backwardInput(dJoined, channels: channels, engine: engine)
                return (dx, dSkip)
            }
        )
    }
}

/// `conv_out(silu(conv_norm_out(x)))`, the predicted noise.
struct OutputHead: Sendable {
    let norm: GroupNorm
    let convolution: Convolution

    init(_ build: LayerBuilder, config: UNetConfig) throws {
        let width = config.layout.widths[0]
        norm = try build.groupNorm("conv_norm_out", width, groups: config.normNumGroups, epsilon: config.normEps)
        convolution = try build.convolution("conv_out", width, config.layout.outChannels)
    }

    struct Saved {
        let x: Tensor
        let norm: GroupNorm.Saved
    }

    func forward(_ x: Tensor) -> (y: Tensor, saved: Saved) {
        let (normed, saved) = norm.forward(x, silu: true)
        return (convolution.forward(consume normed), Saved(x: x, norm: saved))
    }

    func backwardInput(_ dy: Tensor, saved: Saved) -> Tensor {
        let dNormed = convolution.backwardInput(dy, inputShape: saved.x.shape)
        return norm.backwardInput(consume dNormed, x: saved.x, saved: saved.norm, silu: true)
    }
}
