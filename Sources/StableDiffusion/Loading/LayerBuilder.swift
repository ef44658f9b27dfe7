import Checkpoints
import Ops
import Tensors

/// Builds the layers below one module path from the tensors of that name: `build.at("conv1")` of `mid_block.resnets.0`
/// is `mid_block.resnets.0.conv1`. Shapes are checked against what the configuration implies.
struct LayerBuilder {
    let weights: WeightStore
    let engine: Engine
    var path = ""

    func at(_ child: String) -> LayerBuilder {
        LayerBuilder(weights: weights, engine: engine, path: path.isEmpty ? child : "\(path).\(child)")
    }

    func tensor(_ name: String, _ shape: [Int]) throws -> Weight {
        try weights.take(path.isEmpty ? name : "\(path).\(name)", shape: shape)
    }

    /// `[output, input]`; with `isConvolution` the file has it as a 1×1 convolution, `[output, input, 1, 1]`.
    func linear(
        _ name: String, _ input: Int, _ output: Int, bias: Bool = true, isConvolution: Bool = false
    ) throws -> Linear {
        let layer = at(name)
        return Linear(
            weight: try layer.tensor("weight", [output, input] + (isConvolution ? [1, 1] : [])),
            bias: bias ? try layer.tensor("bias", [output]) : nil, engine: engine)
    }

    func convolution(
        _ name: String, _ input: Int, _ output: Int, kernel: Int = 3, stride: Int = 1, padding: Padding = .symmetric
    ) throws -> Convolution {
        let layer = at(name)
        return Convolution(
            weight: try layer.tensor("weight", [output, input, kernel, kernel]),
            bias: try layer.tensor("bias", [output]), stride: stride, padding: padding, engine: engine)
    }

    func groupNorm(_ name: String, _ channels: Int, groups: Int, epsilon: Float) throws -> GroupNorm {
        let layer = at(name)
        return GroupNorm(
            weight: try layer.tensor("weight", [channels]), bias: try layer.tensor("bias", [channels]),
            groups: groups, epsilon: epsilon, engine: engine)
    }

    /// - Parameter epsilon: 1e-5 is torch's default, which diffusers' transformer blocks use.
    func layerNorm(_ name: String, _ channels: Int, epsilon: Float = 1e-5) throws -> LayerNorm {
        let layer = at(name)
        return LayerNorm(
            weight: try layer.tensor("weight", [channels]), bias: try layer.tensor("bias", [channels]),
            epsilon: epsilon, engine: engine)
    }
}
