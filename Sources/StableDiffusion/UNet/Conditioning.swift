import Ops
import Tensors

/// Everything in the U-Net that depends on the time step alone: each resnet's channel bias. Computed once per step
/// number, not per optimization step.
public struct TimeConditioning: Sendable {
    /// 0…999: one for all samples, or one each.
    public let timesteps: [Float]
    /// Per resnet: `[1 or B, Cout]`.
    let biases: [Tensor]
}

/// Everything in the U-Net that depends on the text alone: the cross-attentions' keys and values. Computed once per
/// text.
public struct TextConditioning: Sendable {
    /// 1 (shared by all samples) or the batch size.
    public let batch: Int
    /// Per transformer.
    let keysValues: [KeyValue]
}

/// The time embedding, of which every resnet makes its channel bias:
///
///     temb = linear_2(silu(linear_1(sinusoid(t))));   bias of a resnet = time_emb_proj(silu(temb))
struct TimeEmbedding: Sendable {
    let linear1: Linear
    let linear2: Linear
    let config: UNetConfig
    let engine: Engine

    init(_ build: LayerBuilder, config: UNetConfig) {
        linear1 = build.linear("time_embedding.linear_1", config.widths[0], config.timeWidth)
        linear2 = build.linear("time_embedding.linear_2", config.timeWidth, config.timeWidth)
        self.config = config
        engine = build.engine
    }

    /// `silu(temb)`, `[timesteps, timeWidth]`.
    func forward(_ timesteps: [Float]) -> Tensor {
        let sinusoids = timesteps.flatMap {
            timeEmbedding(
                timestep: $0, dimensions: config.widths[0], flipSinToCos: config.flipSinToCos,
                freqShift: config.freqShift)
        }
        let input = Tensor([timesteps.count, sinusoids.count / timesteps.count], sinusoids)
        let hidden = Activation.silu.forward(linear1.forward(input), engine: engine)
        return Activation.silu.forward(linear2.forward(hidden), engine: engine)
    }
}
