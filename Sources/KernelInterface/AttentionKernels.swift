/// The sizes of one head's attention. Tokens are rows of tensors `[tokens, heads·width]`; a pointer to a token means
/// its first float within the head, and the next token lies `stride` floats further.
public struct AttentionHead: Sendable {
    public var width: Int
    public var queryStride: Int
    public var keyStride: Int
    /// Scores are `scale · q·k`.
    public var scale: Float
    /// Query i sees the keys 0…i only.
    public var causal: Bool

    public init(width: Int, queryStride: Int, keyStride: Int, scale: Float, causal: Bool) {
        self.width = width
        self.queryStride = queryStride
        self.keyStride = keyStride
        self.scale = scale
        self.causal = causal
    }
}

/// Softmax attention `out = softmax(scale·Q·Kᵀ)·V` of one head, a block of queries (or keys) at a time. Scores exist
/// only as tiles of a few tens of kilobytes.
///
/// `softmax` holds two floats per query: m = `softmax[i]`, the largest score times log₂e (in bfloat16 at most 8 less), and
/// 1/Σ 2^(score·log₂e − m) at `softmax[softmaxStride + i]`, a sum of probabilities before they are rounded. Together they
/// are the log-sum-exp, kept apart because their sum would round the probabilities of the backward pass (an error of 1e-6
/// at a log-sum-exp of 20).
///
/// Pointers need no alignment and no output overlaps an input. Outputs are overwritten. Query and key tensors have the
/// strides of `AttentionHead`: queryStride for query, out and their gradients, keyStride for key, value and theirs.
public struct AttentionKernels: Sendable {
    /// Most queries per call of `forward` and `backwardQuery`.
    public let queryBlock: Int
    /// Floats that a packed form of `keys` tokens takes.
    public let packedCount: @Sendable (_ keys: Int, _ width: Int) -> Int
    /// Floats of scratch that `forward` and `backwardQuery` need.
    public let scratchCount: @Sendable (_ width: Int) -> Int
    /// Floats of scratch that `backward` needs for up to `keys` keys.
    public let backwardScratchCount: @Sendable (_ keys: Int, _ width: Int) -> Int

    public typealias Pack = @Sendable (
        _ rows: UnsafePointer<Float>, _ stride: Int, _ keys: Int, _ width: Int, _ packed: UnsafeMutablePointer<Float>
    ) -> Void

    /// Keys (or values) packed with a token per tile row, for products over the width.
    public let packTokens: Pack
    /// Values (or keys) packed with a channel per tile row, for products over the tokens.
    public let packChannels: Pack

    public typealias Forward = @Sendable (
        _ head: AttentionHead, _ query: UnsafePointer<Float>, _ queries: Range<Int>,
        _ keyTokens: UnsafePointer<Float>, _ valueChannels: UnsafePointer<Float>, _ keys: Int,
        _ out: UnsafeMutablePointer<Float>, _ softmax: UnsafeMutablePointer<Float>, _ softmaxStride: Int,
        _ scratch: UnsafeMutablePointer<Float>
    ) -> Void

    /// Output and softmax of the queries in `queries` (at most `queryBlock`). `query`, `out` and `softmax` point to
    /// query 0; `keyTokens`, `valueChannels` are all `keys ≥ 1` keys and values, packed.
    public let forward: Forward

    public typealias BackwardQuery = @Sendable (
        _ head: AttentionHead, _ query: UnsafePointer<Float>, _ dOut: UnsafePointer<Float>, _ queries: Range<Int>,
        _ keyTokens: UnsafePointer<Float>, _ valueTokens: UnsafePointer<Float>, _ keyChannels: UnsafePointer<Float>,
        _ keys: Int, _ softmax: UnsafePointer<Float>, _ softmaxStride: Int, _ delta: UnsafePointer<Float>,
        _ dQuery: UnsafeMutablePointer<Float>, _ scratch: UnsafeMutablePointer<Float>
    ) -> Void

    /// `dQ = scale · dS·K` with `dS = P∘(dO·Vᵀ − delta)` of the queries in `queries`; pointers as in `forward`,
    /// `delta[i]` from `rowDots`.
    public let backwardQuery: BackwardQuery

    public typealias Backward = @Sendable (
        _ head: AttentionHead, _ query: UnsafePointer<Float>, _ dOut: UnsafePointer<Float>, _ queries: Int,
        _ key: UnsafePointer<Float>, _ value: UnsafePointer<Float>, _ keys: Range<Int>,
        _ softmax: UnsafePointer<Float>, _ softmaxStride: Int, _ delta: UnsafePointer<Float>,
        _ dQuery: UnsafeMutablePointer<Float>?, _ dKey: UnsafeMutablePointer<Float>?,
        _ dValue: UnsafeMutablePointer<Float>?, _ scratch: UnsafeMutablePointer<Float>
    ) -> Void

    /// For the keys in `keys`, over all queries: `dV = Pᵀ·dO`, `dK = scale·dSᵀ·Q`, and into `dQuery` these keys' share
    /// of `scale·dS·K`, which the caller adds up over ranges of keys. All pointers are to token 0, where `head.causal`;
    /// else those of queries may be to any, and each query's share and each key's gradients have the same bits.
    ///
    /// Without `dQuery`, or without `dKey` and `dValue`, it computes the others alone.
    public let backward: Backward

    public typealias RowDots = @Sendable (
        _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>, _ stride: Int, _ rows: Int, _ width: Int,
        _ result: UnsafeMutablePointer<Float>
    ) -> Void

    /// `result[i] = Σ_c a[i·stride + c]·b[i·stride + c]`: delta = dO·O per query, the softmax's gradient correction.
    public let rowDots: RowDots

    public init(
        queryBlock: Int, packedCount: @escaping @Sendable (Int, Int) -> Int,
        scratchCount: @escaping @Sendable (Int) -> Int,
        backwardScratchCount: @escaping @Sendable (Int, Int) -> Int, packTokens: @escaping Pack,
        packChannels: @escaping Pack, forward: @escaping Forward, backwardQuery: @escaping BackwardQuery,
        backward: @escaping Backward, rowDots: @escaping RowDots
    ) {
        self.queryBlock = queryBlock
        self.packedCount = packedCount
        self.scratchCount = scratchCount
        self.backwardScratchCount = backwardScratchCount
        self.packTokens = packTokens
        self.packChannels = packChannels
        self.forward = forward
        self.backwardQuery = backwardQuery
        self.backward = backward
        self.rowDots = rowDots
    }
}
