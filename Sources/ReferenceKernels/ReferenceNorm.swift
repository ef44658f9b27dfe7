// Twins of `NormKernels` and of the operations made from them. Rows of `channels`; one sample.
import RealModule

extension Reference {
    /// Mean and sum of squared deviations per group.
    public static func groupStatistics<T: ReferenceScalar>(_ x: [T], channels: Int, groups: Int) -> ([T], [T]) {
        let width = channels / groups
        var means: [T] = zeros(groups)
        var deviations: [T] = zeros(groups)
        let count = T.real(Double(x.count / groups))
        for i in x.indices { means[i % channels / width] += x[i] / count }
        for i in x.indices {
            let d = x[i] - means[i % channels / width]
            deviations[i % channels / width] += d * d
        }
        return (means, deviations)
    }

    /// `y = x·a + b`, coefficients [2][channels].
    public static func groupNormalize<T: ReferenceScalar>(_ x: [T], channels: Int, _ coefficients: [T]) -> [T] {
        x.indices.map { x[$0] * coefficients[$0 % channels] + coefficients[channels + $0 % channels] }
    }

    /// Twin of `groupNormalizeSilu`.
    public static func groupNormalizeSilu<T: ReferenceScalar>(_ x: [T], channels: Int, _ coefficients: [T]) -> [T] {
        silu(groupNormalize(x, channels: channels, coefficients))
    }

    /// x̂ = x·s + t and g = dy·weight (times silu′), coefficients [≥ 4][channels].
    static func normalizedAndGradient<T: ReferenceScalar>(
        _ dy: [T], _ x: [T], channels: Int, _ coefficients: [T], silu: Bool
    ) -> ([T], [T]) {
        let normalized = groupNormalize(x, channels: channels, coefficients)
        let g = x.indices.map { i -> T in
            let c = i % channels
            let weight = coefficients[2 * channels + c]
            let slope = siluDerivative(normalized[i] * weight + coefficients[3 * channels + c])
            return dy[i] * weight * (silu ? slope : T.real(1))
        }
        return (normalized, g)
    }

    /// Σ g and Σ g·x̂ per group.
    public static func groupGradientSums<T: ReferenceScalar>(
        _ dy: [T], _ x: [T], channels: Int, groups: Int, _ coefficients: [T], silu: Bool
    ) -> ([T], [T]) {
        let (normalized, g) = normalizedAndGradient(dy, x, channels: channels, coefficients, silu: silu)
        var sums: [T] = zeros(groups)
        var products: [T] = zeros(groups)
        for i in x.indices {
            let group = i % channels / (channels / groups)
            sums[group] += g[i]
            products[group] += g[i] * normalized[i]
        }
        return (sums, products)
    }

    /// `base + s·(g − m₁ − x̂·m₂)`, coefficients [6][channels].
    public static func groupBackward<T: ReferenceScalar>(
        _ dy: [T], _ x: [T], channels: Int, _ coefficients: [T], base: [T]?, silu: Bool
    ) -> [T] {
        let (normalized, g) = normalizedAndGradient(dy, x, channels: channels, coefficients, silu: silu)
        return x.indices.map { i in
            let c = i % channels
            let centred = g[i] - coefficients[4 * channels + c] - normalized[i] * coefficients[5 * channels + c]
            return (base?[i] ?? T.real(0)) + coefficients[c] * centred
        }
    }

    /// Group normalization of one sample, with SiLU on request.
    public static func groupNorm<T: ReferenceScalar>(
        _ x: [T], weight: [T], bias: [T], groups: Int, epsilon: Double, silu useSilu: Bool
    ) -> [T] {
        let channels = weight.count
        let (means, inverses) = meanAndInverse(x, channels: channels, groups: groups, epsilon: epsilon)
        let width = channels / groups
        let a = (0..<channels).map { weight[$0] * inverses[$0 / width] }
        let b = (0..<channels).map { bias[$0] - means[$0 / width] * a[$0] }
        return useSilu
            ? groupNormalizeSilu(x, channels: channels, a + b) : groupNormalize(x, channels: channels, a + b)
    }

    /// The gradient of `groupNorm` at x.
    public static func groupNormBackward<T: ReferenceScalar>(
        _ dy: [T], _ x: [T], weight: [T], bias: [T], groups: Int, epsilon: Double, silu: Bool
    ) -> [T] {
        let channels = weight.count
        let width = channels / groups
        let (means, inverses) = meanAndInverse(x, channels: channels, groups: groups, epsilon: epsilon)
        let s = (0..<channels).map { inverses[$0 / width] }
        let t = (0..<channels).map { -means[$0 / width] * s[$0] }
        let (sums, products) = groupGradientSums(
            dy, x, channels: channels, groups: groups, s + t + weight + bias, silu: silu)
        let count = T.real(Double(x.count / groups))
        let m1 = (0..<channels).map { sums[$0 / width] / count }
        let m2 = (0..<channels).map { products[$0 / width] / count }
        return groupBackward(dy, x, channels: channels, s + t + weight + bias + m1 + m2, base: nil, silu: silu)
    }

    private static func meanAndInverse<T: ReferenceScalar>(
        _ x: [T], channels: Int, groups: Int, epsilon: Double
    ) -> ([T], [T]) {
        let (means, deviations) = groupStatistics(x, channels: channels, groups: groups)
        let count = T.real(Double(x.count / groups))
        return (means, deviations.map { T.real(1) / T.sqrt($0 / count + T.real(epsilon)) })
    }

    /// Twin of `layer`: a row is a sample with one group.
    public static func layer<T: ReferenceScalar>(_ x: [T], weight: [T], bias: [T], epsilon: Double) -> [T] {
        rows(x, weight.count).flatMap {
            groupNorm($0, weight: weight, bias: bias, groups: 1, epsilon: epsilon, silu: false)
        }
    }

    /// Twin of `layerBackward`.
    public static func layerBackward<T: ReferenceScalar>(
        _ dy: [T], _ x: [T], weight: [T], epsilon: Double
    ) -> [T] {
        zip(rows(dy, weight.count), rows(x, weight.count)).flatMap {
            groupNormBackward($0, $1, weight: weight, bias: weight, groups: 1, epsilon: epsilon, silu: false)
        }
    }

    static func rows<T>(_ x: [T], _ width: Int) -> [[T]] {
        stride(from: 0, to: x.count, by: width).map { Array(x[$0..<$0 + width]) }
    }
}
