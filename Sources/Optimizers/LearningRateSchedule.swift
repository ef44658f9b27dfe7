#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// How the learning rate changes over a training run, as the schedulers of the transformers library define it (the
/// published trainers of sparse autoencoders use those).
public enum LearningRateSchedule: String, Sendable, CaseIterable {
    /// 1 throughout; takes no warm-up.
    case constant
    /// From 1 to 0 in a straight line after the warm-up.
    case linear
    /// (1 + cos πx)/2 for x from 0 to 1 after the warm-up.
    case cosine

    /// What the learning rate is multiplied by.
    /// - Parameters:
    ///   - step: index of the update, from 0.
    ///   - steps: updates of the whole run.
    ///   - warmUp: updates over which the factor rises from 0 to 1.
    public func factor(step: Int, of steps: Int, warmUp: Int = 0) -> Double {
        if self == .constant { return 1 }
        if step < warmUp { return Double(step) / Double(warmUp) }
        let progress = Double(step - warmUp) / Double(max(1, steps - warmUp))
        switch self {
        case .constant: return 1
        case .linear: return max(0, 1 - progress)
        case .cosine: return max(0, 0.5 * (1 + cos(.pi * progress)))
        }
    }
}
