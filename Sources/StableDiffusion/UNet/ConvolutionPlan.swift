import Ops

/// One 3×3 convolution of the U-Net at a size, and how it is computed there.
public struct PlannedConvolution: Sendable, Equatable {
    /// Module name as in the checkpoint.
    public let name: String
    /// Size of the output map.
    public let height: Int
    public let width: Int
    public let inputs: Int
    public let outputs: Int
    public let stride: Int
    public let algorithm: Convolution.Algorithm
}

extension UNetConfig {
    /// Every 3×3 convolution in order of computation, for a latent of `height × width`. Forward and gradient use the same
    /// algorithm: the rule is symmetric in inputs and outputs.
    public func convolutions(height: Int, width: Int) -> [PlannedConvolution] {
        stages().flatMap { stage -> [PlannedConvolution] in
            let map = StageDescription.mapSize(height, width, level: stage.level)
            func planned(_ suffix: String, _ inputs: Int, stride: Int = 1) -> PlannedConvolution {
                PlannedConvolution(
                    name: stage.name + suffix, height: map.height, width: map.width, inputs: inputs,
                    outputs: stage.outChannels, stride: stride,
                    algorithm: stride > 1
                        ? .direct
                        : Convolution.rule(
                            inputs: inputs, outputs: stage.outChannels, height: map.height, width: map.width))
            }
            switch stage.kind {
            case .convolutionIn, .output: return [planned("", stage.inChannels)]
            case .resnet:
                return [
                    planned(".conv1", stage.inChannels + stage.skipChannels), planned(".conv2", stage.outChannels),
                ]
            case .downsample: return [planned(".conv", stage.inChannels, stride: 2)]
            case .upsample: return [planned(".conv", stage.inChannels)]
            case .transformer: return []
            }
        }
    }
}
