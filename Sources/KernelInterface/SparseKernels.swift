/// What a sparse autoencoder needs beside the dense product: selection of the largest activations straight from a
/// register tile's output, sums and products over a few rows of a matrix, and the optimizer's update.
///
/// An activation is selected as a *key*: the bits of its value (not negative, so they order as integers) above the
/// complement of its index `token · numLatents + feature`. Keys are distinct, and a larger key is a larger activation
/// or, between equal ones, the lower index; so "the K largest" is one well-defined set in whatever order it is found.
public struct SparseKernels: Sendable {
    public typealias PackPanel = @Sendable (
        _ matrix: UnsafePointer<Float>, _ stride: Int, _ ids: UnsafePointer<UInt32>, _ columns: Int, _ depth: Int,
        _ panel: UnsafeMutablePointer<Float>
    ) -> Void

    /// Gathers rows `ids[0..<columns]` of a row-major matrix (rows `stride` floats apart) into one panel of
    /// `GemmKernels`: `panel[k][c] = matrix[ids[c]][k]`, `k < depth`, zero for `columns ≤ c < panelWidth`.
    public let packPanel: PackPanel

    public typealias Select = @Sendable (
        _ tile: UnsafePointer<Float>, _ rows: Int, _ bias: UnsafePointer<Float>, _ ids: UnsafePointer<UInt32>,
        _ columns: Int, _ firstIndex: UInt32, _ indexStride: UInt32, _ bound: UInt64,
        _ keys: UnsafeMutablePointer<UInt64>
    ) -> Int

    /// Appends at `keys` the key of every `relu(tile[r][c] + bias[c])` that is greater than `bound`, for `r < rows`,
    /// `c < columns`; returns their number. `tile` has `panelWidth` floats per row, `bias` `panelWidth` floats. The
    /// index in the key is `firstIndex + r·indexStride + ids[c]`; `ids` ascend. Room for `rows · columns` keys.
    public let select: Select

    public typealias SelectAbove = @Sendable (
        _ tile: UnsafePointer<Float>, _ rows: Int, _ bias: UnsafePointer<Float>, _ gate: UnsafePointer<Float>,
        _ ids: UnsafePointer<UInt32>, _ columns: Int, _ firstIndex: UInt32, _ indexStride: UInt32,
        _ keys: UnsafeMutablePointer<UInt64>
    ) -> Int

    /// As `select`, with a lower bound of its own for each column: every positive `tile[r][c] + bias[c] > gate[c]`.
    public let selectAbove: SelectAbove

    public typealias CountPositive = @Sendable (
        _ tile: UnsafePointer<Float>, _ rows: Int, _ bias: UnsafePointer<Float>
    ) -> Int

    /// How many `tile[r][c] + bias[c]` are greater than 0, over `panelWidth` columns: pad `bias` with −∞.
    public let countPositive: CountPositive

    public typealias SumRows = @Sendable (
        _ ids: UnsafePointer<UInt32>, _ factors: UnsafePointer<Float>, _ count: Int, _ matrix: UnsafePointer<Float>,
        _ stride: Int, _ columns: Int, _ out: UnsafeMutablePointer<Float>, _ accumulate: Bool
    ) -> Void

    /// `out[c] (+)= Σ_i factors[i] · matrix[ids[i]][c]`, `c < columns`; the sum runs in the order of `i`.
    public let sumRows: SumRows

    public typealias DotRows = @Sendable (
        _ vector: UnsafePointer<Float>, _ ids: UnsafePointer<UInt32>, _ count: Int, _ matrix: UnsafePointer<Float>,
        _ stride: Int, _ columns: Int, _ out: UnsafeMutablePointer<Float>, _ accumulate: Bool
    ) -> Void

    /// `out[i] (+)= Σ_c vector[c] · matrix[ids[i]][c]`, `i < count`.
    public let dotRows: DotRows

    public typealias Dot = @Sendable (
        _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, _ count: Int
    ) -> Float

    /// `Σ a[i] · b[i]`, in a fixed order.
    public let dot: Dot

    public typealias Combine = @Sendable (
        _ a: UnsafePointer<Float>, _ alpha: Float, _ b: UnsafePointer<Float>, _ beta: Float, _ count: Int,
        _ out: UnsafeMutablePointer<Float>
    ) -> Float

    /// `out[i] = alpha · a[i] + beta · b[i]`, and the sum of the squares of what was written. `out` may be `a` or
    /// `b`.
    public let combine: Combine

    public typealias Adam = @Sendable (
        _ weights: UnsafeMutablePointer<Float>, _ gradient: UnsafePointer<Float>, _ mean: UnsafeMutablePointer<Float>,
        _ square: UnsafeMutablePointer<Float>, _ count: Int, _ step: AdamStep, _ scale: Float, _ parallel: Float
    ) -> Void

    /// One Adam update of `count` weights with the gradient `g = scale · gradient − parallel · weights`:
    /// `m ← β₁m + (1−β₁)g`, `v ← β₂v + (1−β₂)g²`, `w ← w − size · m / (√v · rootScale +
    /// ε)`. (`parallel` removes a decoder row's gradient along the row without another pass over memory.)
    public let adam: Adam

    public init(
        packPanel: @escaping PackPanel, select: @escaping Select, selectAbove: @escaping SelectAbove,
        countPositive: @escaping CountPositive, sumRows: @escaping SumRows, dotRows: @escaping DotRows,
        dot: @escaping Dot, combine: @escaping Combine, adam: @escaping Adam
    ) {
        self.packPanel = packPanel
        self.select = select
        self.selectAbove = selectAbove
        self.countPositive = countPositive
        self.sumRows = sumRows
        self.dotRows = dotRows
        self.dot = dot
        self.combine = combine
        self.adam = adam
    }
}

/// The numbers of one Adam step that are the same for every weight.
public struct AdamStep: Sendable {
    public let beta1: Float
    public let beta2: Float
    public let epsilon: Float
    /// Learning rate / (1 − β₁ᵗ).
    public let size: Float
    /// 1 / √(1 − β₂ᵗ).
    public let rootScale: Float

    public init(beta1: Float, beta2: Float, epsilon: Float, size: Float, rootScale: Float) {
        self.beta1 = beta1
        self.beta2 = beta2
        self.epsilon = epsilon
        self.size = size
        self.rootScale = rootScale
    }
}
