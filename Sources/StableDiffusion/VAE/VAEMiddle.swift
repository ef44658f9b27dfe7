import Ops
import Tensors

/// Group norm ε everywhere in the VAE, fixed in diffusers' `Encoder` and `Decoder`.
let vaeNormEps: Float = 1e-6

/// The VAE's self-attention over all positions of a map: one head as wide as the map, biases, residual.
///
///     y = x + to_out(softmax(q kᵀ/√C) v),  q, k, v = to_q, to_k, to_v (group_norm(x))
struct VAEAttention: Sendable {
    let groupNorm: GroupNorm
    let toQ, toK, toV, toOut: Linear
    let engine: Engine

    init(_ build: LayerBuilder, channels: Int, groups: Int) {
        groupNorm = build.groupNorm("group_norm", channels, groups: groups, epsilon: vaeNormEps)
        toQ = build.linear("to_q", channels, channels)
        toK = build.linear("to_k", channels, channels)
        toV = build.linear("to_v", channels, channels)
        toOut = build.linear("to_out.0", channels, channels)
        engine = build.engine
    }

    func infer(_ x: Tensor) -> Tensor {
        let tokens = [x.shape[0], x.shape[1] * x.shape[2], x.channels]
        let normed = groupNorm.forward(x).y.reshaped(tokens)
        let (query, key, value) = (toQ.forward(normed), toK.forward(normed), toV.forward(normed))
        let mixed = Attention.forward(query: query, key: key, value: value, heads: 1, engine: engine).out
        return toOut.forward(mixed, adding: x.reshaped(tokens)).reshaped(x.shape)
    }
}

/// `mid_block`: resnet, attention, resnet.
struct VAEMiddle: Sendable {
    let resnet0: ResnetBlock
    let attention: VAEAttention?
    let resnet1: ResnetBlock

    init(_ build: LayerBuilder, config: VAEConfig) {
        let width = config.widths[config.widths.count - 1]
        let groups = config.normNumGroups
        func resnet(_ index: Int) -> ResnetBlock {
            ResnetBlock(
                build.at("resnets.\(index)"), inChannels: width, outChannels: width, groups: groups,
                epsilon: vaeNormEps)
        }
        resnet0 = resnet(0)
        attention =
            config.midAttention
            ? VAEAttention(build.at("attentions.0"), channels: width, groups: groups) : nil
        resnet1 = resnet(1)
    }

    func infer(_ x: consuming Tensor) -> Tensor {
        var x = resnet0.infer(x)
        if let attention { x = attention.infer(x) }
        return resnet1.infer(consume x)
    }
}

/// `conv_out(silu(conv_norm_out(x)))` of both halves.
struct VAEHead: Sendable {
    let norm: GroupNorm
    let convolution: Convolution

    init(_ build: LayerBuilder, _ input: Int, _ output: Int, groups: Int) {
        norm = build.groupNorm("conv_norm_out", input, groups: groups, epsilon: vaeNormEps)
        convolution = build.convolution("conv_out", input, output)
    }

    func infer(_ x: consuming Tensor) -> Tensor {
        convolution.forward(norm.infer(consume x, silu: true))
    }
}
