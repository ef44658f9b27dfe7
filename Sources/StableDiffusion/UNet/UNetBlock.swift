import Ops
import Tensors

/// The vector-Jacobian product of a block: from the gradient at its output to those at its input and at the
/// skip it took. It holds what the block's forward saved, or what it takes to compute that again.
typealias VectorJacobianProduct = (_ dy: Tensor) -> (dInput: Tensor, dSkip: Tensor?)

/// The block that a `BlockDescription` names, with its layers.
struct UNetBlock: Sendable {
    enum Layers: Sendable {
        case convolution(Convolution)
        case upsample(Convolution)
        case resnet(ResnetBlock)
        case transformer(SpatialTransformer)
        case output(OutputHead)
    }
    let description: BlockDescription
    let layers: Layers

    init(_ description: BlockDescription, config: UNetConfig, build: LayerBuilder) {
        let module = build.at(description.name)
        let (input, output) = (description.inChannels, description.outChannels)
        self.description = description
        switch description.kind {
        case .convolutionIn: layers = .convolution(build.inFloat32.convolution(description.name, input, output))
        case .downsample: layers = .convolution(module.convolution("conv", input, output, stride: 2))
        case .upsample: layers = .upsample(module.convolution("conv", input, output))
        case .resnet:
            layers = .resnet(
                ResnetBlock(
                    module, inChannels: input + description.skipChannels, outChannels: output,
                    timeWidth: config.timeWidth, groups: config.normNumGroups, epsilon: config.normEps))
        case .transformer:
            layers = .transformer(
                SpatialTransformer(module, channels: output, heads: description.heads, config: config))
        case .output: layers = .output(OutputHead(build, config: config))
        }
    }
}

/// A block about to run: its layers together with all they need beside their input.
enum BlockCall {
    case convolution(Convolution)
    /// `size`: of the skip that comes next, to which the map is enlarged.
    case upsample(Convolution, size: (height: Int, width: Int), engine: Engine)
    /// `timeBias`: `[B, Cout]`, the time step's share. `skip`: on the way up, concatenated after the input.
    case resnet(ResnetBlock, timeBias: Tensor, skip: Tensor?, engine: Engine)
    case transformer(SpatialTransformer, SpatialTransformer.Call)
    case output(OutputHead)

    /// Computes the block for `x [B,h,w,C]`.
    func forward(_ x: Tensor) -> (y: Tensor, vjp: VectorJacobianProduct) {
        switch self {
        case .convolution(let convolution):
            let shape = x.shape
            return (convolution.forward(x), { (convolution.backwardInput($0, inputShape: shape), nil) })
        case .upsample(let convolution, let size, let engine):
            let wide = Resample.upsampleNearest(x, to: size, engine: engine)
            let (shape, wideShape) = (x.shape, wide.shape)
            return (
                convolution.forward(consume wide),
                { dy in
                    let dWide = convolution.backwardInput(dy, inputShape: wideShape)
                    return (Resample.upsampleNearestBackward(dWide, inputShape: shape, engine: engine), nil)
                }
            )
        case .resnet(let block, let timeBias, nil, _):
            let (y, saved) = block.forward(x, timeBias: timeBias)
            return (y, { (block.backwardInput($0, saved: saved), nil) })
        case .resnet(let block, let timeBias, let skip?, let engine):
            let channels = (x.channels, skip.channels)
            let (y, saved) = block.forward(Concat.forward(x, skip, engine: engine), timeBias: timeBias)
            return (
                y,
                { dy in
                    let dJoined = block.backwardInput(dy, saved: saved)
                    let (dx, dSkip) = Concat.backwardInput(dJoined, channels: channels, engine: engine)
                    return (dx, dSkip)
                }
            )
        case .transformer(let block, let call):
            let (y, saved) = block.forward(x, call)
            return (y, { (block.backwardInput($0, saved: saved, from: call.end), nil) })
        case .output(let head):
            let (y, saved) = head.forward(x)
            return (y, { (head.backwardInput($0, saved: saved), nil) })
        }
    }
}

/// `conv_out(silu(conv_norm_out(x)))`, the predicted noise.
struct OutputHead: Sendable {
    let norm: GroupNorm
    let convolution: Convolution

    init(_ build: LayerBuilder, config: UNetConfig) {
        let width = config.widths[0]
        norm = build.groupNorm("conv_norm_out", width, groups: config.normNumGroups, epsilon: config.normEps)
        convolution = build.inFloat32.convolution("conv_out", width, config.outChannels)
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
