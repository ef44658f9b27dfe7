/// Group and layer normalization over rows of channels.
///
/// Pointers need no alignment. "Coefficients" are rows of `channels` floats that the caller computes per sample from
/// the statistics; with them every pass over the activation is a plain loop over rows.
public struct NormKernels: Sendable {
    public typealias GroupStatistics = @Sendable (
        _ x: UnsafePointer<Float>, _ rows: Int, _ channels: Int, _ groups: Int,
        _ scratch: UnsafeMutablePointer<Float>, _ result: UnsafeMutablePointer<Float>
    ) -> Void

    /// Per group of `channels/groups` neighbouring channels over `rows ≥ 1` rows of x: the mean into `result[group]`,
    /// the sum of squared deviations from it into `result[groups + group]` (both overwritten).
    ///
    /// One pass: sums of x − a and (x − a)², where a is the group's mean in the first row. Whatever the values, a is
    /// within √rows standard deviations of the mean, so a large mean does not cancel the variance away as with Σx².
    /// Up to a few hundred rows; the caller combines blocks. `scratch` holds 3·channels floats.
    public let groupStatistics: GroupStatistics

    public typealias GroupNormalize = @Sendable (
        _ x: UnsafePointer<Float>, _ rows: Int, _ channels: Int, _ coefficients: UnsafePointer<Float>,
        _ y: UnsafeMutablePointer<Float>
    ) -> Void

    /// `y = x · a + b` with coefficients a, b: [2][channels], a = weight/σ, b = bias − mean·weight/σ. y may be x.
    public let groupNormalize: GroupNormalize
    /// `y = silu(x · a + b)`, otherwise as `groupNormalize`.
    public let groupNormalizeSilu: GroupNormalize

    public typealias GroupGradientSums = @Sendable (
        _ dy: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ rows: Int, _ channels: Int, _ groups: Int,
        _ coefficients: UnsafePointer<Float>, _ scratch: UnsafeMutablePointer<Float>,
        _ result: UnsafeMutablePointer<Float>
    ) -> Void

    /// With x̂ = x·s + t and g = dy·weight: Σ g per group into `result[group]`, Σ g·x̂ into `result[groups + group]`.
    /// Coefficients [4][channels]: s = 1/σ, t = −mean/σ, weight, bias. `scratch` holds 2·channels floats.
    public let groupGradientSums: GroupGradientSums
    /// The same for a forward pass with SiLU: g = dy·silu′(x̂·weight + bias)·weight.
    public let groupGradientSumsSilu: GroupGradientSums

    public typealias GroupBackward = @Sendable (
        _ dy: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ rows: Int, _ channels: Int,
        _ coefficients: UnsafePointer<Float>, _ base: UnsafePointer<Float>?, _ dx: UnsafeMutablePointer<Float>
    ) -> Void

    /// `dx = base + s·(g − m₁ − x̂·m₂)`, g and x̂ as in `groupGradientSums`; without `base` it counts as 0.
    /// Coefficients [6][channels]: s, t, weight, bias, m₁, m₂ (the group's means of g and g·x̂).
    /// dx is overwritten; it may be dy, x or base.
    public let groupBackward: GroupBackward
    /// The same for a forward pass with SiLU.
    public let groupBackwardSilu: GroupBackward

    public typealias Layer = @Sendable (
        _ x: UnsafePointer<Float>, _ rows: Int, _ channels: Int, _ weight: UnsafePointer<Float>,
        _ bias: UnsafePointer<Float>, _ epsilon: Float, _ y: UnsafeMutablePointer<Float>,
        _ saved: UnsafeMutablePointer<Float>
    ) -> Void

    /// Per row: `y = (x − mean)/σ · weight + bias`, σ² = variance + epsilon. Overwrites y (may be x) and
    /// `saved[row] = (mean, 1/σ)`, two floats per row.
    public let layer: Layer

    public typealias LayerBackward = @Sendable (
        _ dy: UnsafePointer<Float>, _ x: UnsafePointer<Float>, _ rows: Int, _ channels: Int,
        _ weight: UnsafePointer<Float>, _ saved: UnsafePointer<Float>, _ base: UnsafePointer<Float>?,
        _ dx: UnsafeMutablePointer<Float>
    ) -> Void

    /// Per row, with x̂ = (x − mean)/σ and g = dy·weight: `dx = base + (g − mean(g) − x̂·mean(g·x̂))/σ`; without `base`
    /// it counts as 0. dx is overwritten; it may be dy, x or base.
    public let layerBackward: LayerBackward

    public init(
        groupStatistics: @escaping GroupStatistics,
        groupNormalize: @escaping GroupNormalize, groupNormalizeSilu: @escaping GroupNormalize,
        groupGradientSums: @escaping GroupGradientSums, groupGradientSumsSilu: @escaping GroupGradientSums,
        groupBackward: @escaping GroupBackward, groupBackwardSilu: @escaping GroupBackward,
        layer: @escaping Layer, layerBackward: @escaping LayerBackward
    ) {
        self.groupStatistics = groupStatistics
        self.groupNormalize = groupNormalize
        self.groupNormalizeSilu = groupNormalizeSilu
        self.groupGradientSums = groupGradientSums
        self.groupGradientSumsSilu = groupGradientSumsSilu
        self.groupBackward = groupBackward
        self.groupBackwardSilu = groupBackwardSilu
        self.layer = layer
        self.layerBackward = layerBackward
    }
}
