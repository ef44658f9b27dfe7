/// What one batch tells; shares and losses as in the published code.
public struct LossReport: Sendable {
    /// All terms, weighted.
    public var loss = 0.0
    /// Σ‖x̂ − x‖² / Σ‖x − mean‖².
    public var fvu = 0.0
    /// AuxK before its weight; 0 when nothing is dead.
    public var auxk = 0.0
    /// FVU with 4k features, if the configuration asks for it.
    public var multiTopK = 0.0
    /// Mean FVU of the nested reconstructions, if there are any.
    public var nested = 0.0
    /// L1 or L0 penalty, weighted.
    public var penalty = 0.0
    /// L0: mean number of active features of a token, selected and not 0.
    public var l0 = 0.0
    /// Mean number of a token's positive pre-activations, before selection (what the published trainer logs as L0).
    public var positives = 0.0
    /// Mean squared error of an element.
    public var l2 = 0.0
    /// Mean over tokens of 1 − ‖x̂ − x‖² / ‖x − mean‖².
    public var explainedVariance = 0.0
    /// How many dead latents were given.
    public var deadCount = 0
    /// Which features were selected at least once, even at value 0.
    public var fired: [Bool] = []
}
