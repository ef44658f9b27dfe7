import Checkpoints
import Ops
import Tensors

/// Builds the layers below one module path from the tensors of that name: `build.at("conv1")` of `mid_block.resnets.0`
/// is `mid_block.resnets.0.conv1`.
///
/// The layers' inits are the one place where a network's structure stands. Run against a checkpoint they load it; run
/// against nothing (`Manifest.init(of:)`) they tell every tensor that a checkpoint must have; run against a checkpoint and a
/// file to write (`NetworkPacks`) they pack every filter into it. So no init throws: the first tensor that is missing or
/// misshapen is remembered, nothing is read after it, and `finish` throws it.
struct LayerBuilder {
    private let source: TensorSource
    private(set) var engine: Engine
    private var path = ""

    /// - Parameters:
    ///   - weights: nil to learn what the layers ask for.
    ///   - packed: filters that were packed before; those that it lacks come from `weights`.
    init(weights: WeightStore?, packed: PackedNetwork? = nil, engine: Engine) {
        source = TensorSource(weights, packed)
        self.engine = engine
    }

    /// Layers made of it are placeholders: their filters go into the file.
    init(weights: WeightStore, writer: PackedFileWriter, engine: Engine) {
        source = TensorSource(weights, writer: writer)
        self.engine = engine
    }

    /// - Throws: `FileFailure` for the first tensor that was missing or had another shape than the layers asked for, or a
    ///   file that could not be written.
    func finish() throws { if let failure = source.failure { throw failure } }

    /// Every tensor that was asked for so far, where there are no weights.
    fileprivate var manifest: Manifest { source.manifest }

    func at(_ child: String) -> LayerBuilder {
        var builder = self
        builder.path = path.isEmpty ? child : "\(path).\(child)"
        return builder
    }

    /// The same, for layers that compute in float32 whatever the engine's precision.
    var inFloat32: LayerBuilder {
        var builder = self
        builder.engine = engine.inFloat32
        return builder
    }

    func tensor(_ name: String, _ shape: [Int]) -> Weight {
        source.take(path.isEmpty ? name : "\(path).\(name)", shape)
    }

    /// `[output, input]`; with `isConvolution` the file has it as a 1×1 convolution, `[output, input, 1, 1]`.
    func linear(
        _ name: String, _ input: Int, _ output: Int, bias: Bool = true, isConvolution: Bool = false
    ) -> Linear {
        let shape = [output, input] + (isConvolution ? [1, 1] : [])
        let (filter, bias) = at(name).filter(shape, bias: bias)
        return Linear(filter: filter, bias: bias, engine: engine)
    }

    func convolution(
        _ name: String, _ input: Int, _ output: Int, kernel: Int = 3, stride: Int = 1, padding: Padding = .symmetric
    ) -> Convolution {
        let (filter, bias) = at(name).filter([output, input, kernel, kernel], bias: true)
        return Convolution(filter: filter, bias: bias, stride: stride, padding: padding, engine: engine)
    }

    /// The filter `weight` and, if asked for, the `bias` that fits it: both of the checkpoint, or both placeholders.
    private func filter(_ shape: [Int], bias: Bool) -> (PackedFilter, Weight?) {
        let filter = source.filter("\(path).weight", shape, engine)
        guard bias else { return (filter, nil) }
        let weight = tensor("bias", [shape[0]])
        if source.isWhole { return (filter, weight) }
        return (
            PackedFilter(weight: source.placeholder(path, shape), engine: engine), source.placeholder(path, [shape[0]])
        )
    }

    func groupNorm(_ name: String, _ channels: Int, groups: Int, epsilon: Float) -> GroupNorm {
        let (weight, bias) = pair(name, channels)
        // A placeholder has one channel, which is one group.
        return GroupNorm(
            weight: weight, bias: bias, groups: source.isWhole ? groups : 1, epsilon: epsilon, engine: engine)
    }

    /// - Parameter epsilon: 1e-5 is torch's default, which diffusers' transformer blocks use.
    func layerNorm(_ name: String, _ channels: Int, epsilon: Float = 1e-5) -> LayerNorm {
        let (weight, bias) = pair(name, channels)
        return LayerNorm(weight: weight, bias: bias, epsilon: epsilon, engine: engine)
    }

    /// A norm's weight and bias: both from the checkpoint, or both placeholders.
    private func pair(_ name: String, _ channels: Int) -> (weight: Weight, bias: Weight) {
        let layer = at(name)
        let (weight, bias) = (layer.tensor("weight", [channels]), layer.tensor("bias", [channels]))
        if source.isWhole { return (weight, bias) }
        return (source.placeholder(name, [channels]), source.placeholder(name, [channels]))
    }
}

extension Manifest {
    /// Every tensor that a network's layers ask for, in the order in which they are made.
    init(of layers: (LayerBuilder) -> Void) {
        let builder = LayerBuilder(weights: nil, engine: .smallest)
        layers(builder)
        self = builder.manifest
    }
}
