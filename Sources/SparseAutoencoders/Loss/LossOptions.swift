/// Weights of what the loss adds to the reconstruction error.
public struct LossOptions: Sendable, Equatable {
    /// Weight of AuxK, the reconstruction of the error by dead latents (Gao et al., arXiv 2406.04093).
    public var auxkAlpha: Float = 1 / 32
    /// ReLU: weight of the mean over tokens of the sum of the activations.
    public var l1Coefficient: Float = 1e-3
    /// JumpReLU: weight of the mean number of active features.
    public var l0Coefficient: Float = 1e-3
    /// JumpReLU: width of the window around the threshold in which it has a gradient, in units of the pre-activations.
    public var bandwidth: Float = 1e-2

    /// The published trainer's weights.
    public init() {}
}
