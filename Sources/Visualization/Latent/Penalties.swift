import Tensors

/// Values of the penalties on a latent, each times its weight.
public struct PenaltyValues: Sendable, Equatable {
    /// Total variation, weighted.
    public var totalVariation = 0.0
    /// The excess over the range, weighted.
    public var range = 0.0
    /// The distance of mean and deviation from 0 and 1, weighted.
    public var moment = 0.0

    /// The values of the three penalties, weighted.
    public init(totalVariation: Double = 0, range: Double = 0, moment: Double = 0) {
        self.totalVariation = totalVariation
        self.range = range
        self.moment = moment
    }

    /// All three together.
    public var sum: Double { totalVariation + range + moment }
}

/// Penalties that keep a latent near those that the model knows. Statistics are those of the tensor passed
/// in: a whole batch, or one latent. At a kink the derivative is 0: sign(0) = 0, relu'(0) = 0.
public struct Penalties: Sendable, Equatable {
    /// Weight of mean |z[y+1] − z[y]| + mean |z[x+1] − z[x]|, two means over their own counts.
    public var totalVariation = 0.0
    /// Weight of mean relu(|z| − threshold)².
    public var range = 0.0
    /// Values up to this, either way, cost nothing.
    public var rangeThreshold = 3.0
    /// Weight of |mean(z)| + |std(z) − 1|, sample deviation.
    public var moment = 0.0

    /// Weights of the three penalties; 0 leaves one out.
    public init(totalVariation: Double = 0, range: Double = 0, rangeThreshold: Double = 3, moment: Double = 0) {
        self.totalVariation = totalVariation
        self.range = range
        self.rangeThreshold = rangeThreshold
        self.moment = moment
    }

    /// The values at `latent [B, C, H, W]`, and their gradient.
    public func evaluate(_ latent: Tensor) -> (values: PenaltyValues, gradient: Tensor) {
        let gradient = Tensor.zeros(latent.shape)
        var values = PenaltyValues()
        if totalVariation != 0 { values.totalVariation = variation(latent, gradient) }
        if range != 0 { values.range = excess(latent, gradient) }
        if moment != 0 { values.moment = moments(latent, gradient) }
        return (values, gradient)
    }

    private func variation(_ latent: Tensor, _ gradient: Tensor) -> Double {
        let (height, width) = (latent.shape[2], latent.shape[3])
        let planes = latent.count / (height * width)
        let (below, beside) = (planes * (height - 1) * width, planes * height * (width - 1))
        return differences(latent, gradient, apart: width, count: below) { $0 / width < height - 1 }
            + differences(latent, gradient, apart: 1, count: beside) { $0 % width < width - 1 }
    }

    /// Mean of |z[i + apart] − z[i]| over the places of each plane that have such a neighbour.
    private func differences(
        _ latent: Tensor, _ gradient: Tensor, apart: Int, count: Int, _ hasNeighbour: (_ place: Int) -> Bool
    ) -> Double {
        guard count > 0 else { return 0 }
        let size = latent.shape[2] * latent.shape[3]
        let share = Float(totalVariation / Double(count))
        let (z, d) = (latent.pointer, gradient.pointer)
        var sum = 0.0
        for plane in 0..<latent.count / size {
            for place in 0..<size where hasNeighbour(place) {
                let i = plane * size + place
                let difference = z[i + apart] - z[i]
                sum += Double(abs(difference))
                let slope: Float = difference > 0 ? share : difference < 0 ? -share : 0
                d[i + apart] += slope
                d[i] -= slope
            }
        }
        return totalVariation * sum / Double(count)
    }

    private func excess(_ latent: Tensor, _ gradient: Tensor) -> Double {
        let count = Double(latent.count)
        var sum = 0.0
        for i in 0..<latent.count {
            let z = Double(latent.pointer[i])
            let over = abs(z) - rangeThreshold
            guard over > 0 else { continue }
            sum += over * over
            gradient.pointer[i] += Float(range * 2 * over * (z > 0 ? 1 : -1) / count)
        }
        return range * sum / count
    }

    private func moments(_ latent: Tensor, _ gradient: Tensor) -> Double {
        let (mean, deviation, count) = (latent.mean, latent.deviation, Double(latent.count))
        let meanSlope = moment * sign(mean) / count
        // ∂std/∂z = (z − mean) / ((n − 1) std)
        let spread = deviation > 0 ? moment * sign(deviation - 1) / ((count - 1) * deviation) : 0
        for i in 0..<latent.count {
            gradient.pointer[i] += Float(meanSlope + spread * (Double(latent.pointer[i]) - mean))
        }
        return moment * (abs(mean) + abs(deviation - 1))
    }

    private func sign(_ x: Double) -> Double { x > 0 ? 1 : x < 0 ? -1 : 0 }
}
