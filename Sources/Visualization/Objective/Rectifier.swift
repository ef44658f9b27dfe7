/// The function applied to an SAE feature's pre-activation before the objective averages it.
///
/// With `relu`, the paper's, a feature that is off everywhere has no gradient, and the optimization goes
/// nowhere.
public enum Rectifier: String, Sendable, CaseIterable {
    case relu
    /// Slope 0.1 below 0: a feature that is off still has a gradient.
    case leaky
    /// The pre-activation itself.
    case none

    static let leak: Float = 0.1

    func value(_ x: Float) -> Float {
        switch self {
        case .relu: max(x, 0)
        case .leaky: x > 0 ? x : Self.leak * x
        case .none: x
        }
    }

    /// The derivative; 0 (`relu`) or the leak at the kink, as torch has it.
    func slope(_ x: Float) -> Float {
        switch self {
        case .relu: x > 0 ? 1 : 0
        case .leaky: x > 0 ? 1 : Self.leak
        case .none: 1
        }
    }
}
