import Checkpoints
import Files
import Ops
import Tensors

/// Builds the layers below one module path from the tensors of that name: `build.at("conv1")` of `mid_block.resnets.0`
/// is `mid_block.resnets.0.conv1`.
///
/// The layers' inits are the one place where a network's structure stands. Run against a checkpoint they load it; run
/// against nothing (`Manifest.init(of:)`) they tell every tensor that a checkpoint must have. So no init throws: the
/// first tensor that is missing or misshapen is remembered, nothing is read after it, and `finish` throws it.
struct LayerBuilder {
    private let source: TensorSource
    private(set) var engine: Engine
    private var path = ""

    /// - Parameter weights: nil to learn what the layers ask for.
    init(weights: WeightStore?, engine: Engine) {
        source = TensorSource(weights)
        self.engine = engine
    }

    /// - Throws: `FileFailure` for the first tensor that was missing or had another shape than the layers asked for.
    func finish() throws(FileFailure) { if let failure = source.failure { throw failure } }

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
        guard bias else { return Linear(weight: at(name).tensor("weight", shape), bias: nil, engine: engine) }
        let (weight, bias) = pair(name, shape, output)
        return Linear(weight: weight, bias: bias, engine: engine)
    }

    func convolution(
        _ name: String, _ input: Int, _ output: Int, kernel: Int = 3, stride: Int = 1, padding: Padding = .symmetric
    ) -> Convolution {
        let (weight, bias) = pair(name, [output, input, kernel, kernel], output)
        return Convolution(weight: weight, bias: bias, stride: stride, padding: padding, engine: engine)
    }

    func groupNorm(_ name: String, _ channels: Int, groups: Int, epsilon: Float) -> GroupNorm {
        let (weight, bias) = pair(name, [channels], channels)
        // A placeholder has one channel, which is one group.
        let isPlaceholder = source.isEmpty || weight.count != channels
        return GroupNorm(
            weight: weight, bias: bias, groups: isPlaceholder ? 1 : groups, epsilon: epsilon, engine: engine)
    }

    /// - Parameter epsilon: 1e-5 is torch's default, which diffusers' transformer blocks use.
    func layerNorm(_ name: String, _ channels: Int, epsilon: Float = 1e-5) -> LayerNorm {
        let (weight, bias) = pair(name, [channels], channels)
        return LayerNorm(weight: weight, bias: bias, epsilon: epsilon, engine: engine)
    }

    /// A weight and a bias that fit each other: both from the checkpoint, or both placeholders.
    private func pair(_ name: String, _ shape: [Int], _ output: Int) -> (weight: Weight, bias: Weight) {
        let layer = at(name)
        let (weight, bias) = (layer.tensor("weight", shape), layer.tensor("bias", [output]))
        guard source.failure != nil else { return (weight, bias) }
        return (source.placeholder(name, shape), source.placeholder(name, [output]))
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

/// Where layers get their tensors: from a checkpoint, or, where there is none, placeholders.
private final class TensorSource {
    private let weights: WeightStore?
    private(set) var manifest = Manifest()
    private(set) var failure: FileFailure?

    init(_ weights: WeightStore?) { self.weights = weights }

    var isEmpty: Bool { weights == nil }

    func take(_ name: String, _ shape: [Int]) -> Weight {
        guard let weights else {
            manifest.tensor(name, shape)
            return placeholder(name, shape)
        }
        guard failure == nil else { return placeholder(name, shape) }
        do throws(FileFailure) {
            return try weights.take(name, shape: shape)
        } catch {
            failure = error
            return placeholder(name, shape)
        }
    }

    private let zeros = Tensor.zeros([9])

    /// One input, one output, kernels as they are: layers can be made of it at no cost, whatever their real size.
    func placeholder(_ name: String, _ shape: [Int]) -> Weight {
        let kernel = shape.dropFirst(2).reduce(1, *)
        return Weight(
            name: name, shape: shape.prefix(2).map { _ in 1 } + shape.dropFirst(2), dtype: .f32,
            bytes: UnsafeRawBufferPointer(start: zeros.pointer, count: 4 * kernel), owner: zeros.storage)
    }
}
