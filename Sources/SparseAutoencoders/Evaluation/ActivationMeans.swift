import Ops
import Tensors

/// Mean tokens, over everything and per time step; a first pass over the activations.
public struct ActivationMeans: Sendable {
    private var sums: [Int: (tokens: Int, sum: [Double])] = [:]
    /// Mean over everything that was added, `[D]`.
    public private(set) var whole: Tensor
    private var steps: [Int: Tensor] = [:]

    /// Of nothing yet.
    public init(width: Int) {
        whole = Tensor.zeros([width])
    }

    /// Adds tokens `[n, D]` of one time step.
    public mutating func add(_ x: Tensor, timestep: Int, engine: Engine) {
        let columns = columnSums(x, engine: engine)
        let old = sums[timestep] ?? (0, [Double](repeating: 0, count: x.channels))
        let (tokens, sum) = (old.tokens + x.rows, zip(old.sum, columns).map { $0 + $1 })
        sums[timestep] = (tokens, sum)
        steps[timestep] = Tensor([x.channels], sum.map { Float($0 / Double(tokens)) })
        let all = sums.values.reduce(0) { $0 + $1.tokens }
        var total = [Double](repeating: 0, count: x.channels)
        for key in sums.keys.sorted() {
            for (i, value) in (sums[key]?.sum ?? []).enumerated() { total[i] += value }
        }
        whole = Tensor([x.channels], total.map { Float($0 / Double(all)) })
    }

    func mean(_ timestep: Int) -> Tensor { steps[timestep] ?? whole }
}
