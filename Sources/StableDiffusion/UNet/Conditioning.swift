import Ops
import Tensors

/// Everything in the U-Net that depends on the time step alone: each resnet's channel bias. Computed once per step
/// number, not per optimization step.
public struct TimeConditioning: Sendable {
    public let timestep: Float
    /// Per stage: `[1, Cout]`; nil where a stage has none.
    let biases: [Tensor?]
}

/// Everything in the U-Net that depends on the text alone: the cross-attentions' keys and values. Computed once per
/// text.
public struct TextConditioning: Sendable {
    /// 1 (shared by all samples) or the batch size.
    public let batch: Int
    /// Per stage; nil where a stage has none.
    let keysValues: [KeyValue?]
}

/// The time embedding and its projections:
///
///     temb = linear_2(silu(linear_1(sinusoid(t))));   bias of a resnet = time_emb_proj(silu(temb))
struct TimeEmbedding: Sendable {
    let linear1: Linear
    let linear2: Linear
    /// Per stage, `time_emb_proj` of resnets.
    let projections: [Linear?]
    let config: UNetConfig
    let engine: Engine

    init(_ build: LayerBuilder, config: UNetConfig, stages: ArraySlice<StageDescription>) throws {
        let (width, inner) = (config.layout.widths[0], config.layout.timeWidth)
        linear1 = try build.linear("time_embedding.linear_1", width, inner)
        linear2 = try build.linear("time_embedding.linear_2", inner, inner)
        projections = try stages.map { stage in
            guard stage.kind == .resnet else { return nil }
            return try build.at(stage.name).linear("time_emb_proj", inner, stage.outChannels)
        }
        self.config = config
        engine = build.engine
    }

    func conditioning(_ timestep: Float) -> TimeConditioning {
        let sinusoid = timeEmbedding(
            timestep: timestep, dimensions: config.layout.widths[0], flipSinToCos: config.flipSinToCos,
            freqShift: config.freqShift)
        let hidden = Activation.silu.forward(linear1.forward(Tensor([1, sinusoid.count], sinusoid)), engine: engine)
        let embedding = Activation.silu.forward(linear2.forward(hidden), engine: engine)
        return TimeConditioning(timestep: timestep, biases: projections.map { $0?.forward(embedding) })
    }
}
