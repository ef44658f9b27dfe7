import Ops

/// One 3×3 convolution of the U-Net at a size, and how it is computed there.
package struct PlannedConvolution: Sendable, Equatable {
    /// Module name as in the checkpoint.
    package let name: String
    /// Size of the output map.
    package let height: Int
    package let width: Int
    package let inputs: Int
    package let outputs: Int
    package let stride: Int
    package let algorithm: Convolution.Algorithm
}

extension UNetConfig {
    /// Every 3×3 convolution in order of computation, for a latent of `height × width` and bfloat16 products of `speedup`
    /// (`Convolution.rule`). Forward and gradient use the same algorithm: the rule is symmetric in inputs and outputs.
    package func convolutions(
        height: Int, width: Int, precision: Precision = .float32, speedup: Int = 2
    ) -> [PlannedConvolution] {
        blocks().flatMap { block -> [PlannedConvolution] in
            let inFloat32 = block.kind == .convolutionIn || block.kind == .output
            let map = BlockDescription.mapSize(height, width, level: block.level)
            func planned(_ suffix: String, _ inputs: Int, stride: Int = 1) -> PlannedConvolution {
                PlannedConvolution(
                    name: block.name + suffix, height: map.height, width: map.width, inputs: inputs,
                    outputs: block.outChannels, stride: stride,
                    algorithm: stride > 1
                        ? .direct
                        : Convolution.rule(
                            inputs: inputs, outputs: block.outChannels, height: map.height, width: map.width,
                            precision: inFloat32 ? .float32 : precision, speedup: speedup))
            }
            switch block.kind {
            case .convolutionIn, .output: return [planned("", block.inChannels)]
            case .resnet:
                return [
                    planned(".conv1", block.inChannels + block.skipChannels), planned(".conv2", block.outChannels),
                ]
            case .downsample: return [planned(".conv", block.inChannels, stride: 2)]
            case .upsample: return [planned(".conv", block.inChannels)]
            case .transformer: return []
            }
        }
    }
}
