/// Where in the layer's map an objective looks: the rule by which its values at all positions become one number.
/// `Pooling` is the rule on a map of known size.
public enum Where: Sendable, Hashable {
    /// Everywhere alike: the thing is sought at every position, as in the paper.
    case mean
    /// Wherever it is strongest; see `Pooling.peak`.
    case peak(sharpness: Double)
    /// One position of the map, from 0 at its upper left: the neuron objective.
    case position(x: Int, y: Int)
    /// Where a picture is bright, in proportion.
    case mask(file: String)

    /// Of a peak without a number: near the maximum where one position stands out, near the mean of the strongest
    /// where several do.
    public static let standardSharpness = 4.0

    /// Sharpness above this is no different from the maximum.
    public static let sharpnessLimit = 1000.0

    /// `mean`, `peak`, `peak:4`, `3,5` or `mask:FILE`, where a space may stand for the colon; nil for anything else.
    public init?(_ text: String) {
        let parts = text.split(maxSplits: 1, omittingEmptySubsequences: false) { $0 == ":" || $0 == " " }
        let (word, rest) = (parts[0], parts.count > 1 ? String(parts[1]) : nil)
        switch (word, rest) {
        case ("mean", nil): self = .mean
        case ("peak", nil): self = .peak(sharpness: Self.standardSharpness)
        case ("peak", let rest?):
            guard let sharpness = Double(rest), sharpness > 0, sharpness <= Self.sharpnessLimit else { return nil }
            self = .peak(sharpness: sharpness)
        case ("mask", let rest?) where !rest.isEmpty: self = .mask(file: rest)
        default:
            let numbers = text.split(separator: ",", omittingEmptySubsequences: false).map { Int($0) }
            guard numbers.count == 2, let x = numbers[0], let y = numbers[1], x >= 0, y >= 0 else { return nil }
            self = .position(x: x, y: y)
        }
    }

    /// As `init` reads it, for records and commands.
    public var text: String {
        switch self {
        case .mean: "mean"
        case .peak(let sharpness): "peak:\(sharpness)"
        case .position(let x, let y): "\(x),\(y)"
        case .mask(let file): "mask:\(file)"
        }
    }

    /// What `init` reads, for messages.
    public static let expected = "mean, peak, peak:\(standardSharpness), x,y or mask:FILE"
}
