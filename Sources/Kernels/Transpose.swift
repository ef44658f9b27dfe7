// Square blocks of lanes × lanes floats, transposed in registers by rounds of perfect shuffles: zipping row i with row
// i + n/2 and repeating log₂ n times exchanges rows and columns. Two-source permutes on AVX-512, unpack + permute on
// AVX2: about a quarter of an instruction per element, where scalar stores would cost one each.

/// (a0 b0 a1 b1 …, the same from the upper halves).
@inline(__always) func zipped(_ a: Vec, _ b: Vec) -> (Vec, Vec) {
    var low = Vec.zero, high = Vec.zero
    low.evenHalf = a.lowHalf
    low.oddHalf = b.lowHalf
    high.evenHalf = a.highHalf
    high.oddHalf = b.highHalf
    return (low, high)
}

#if LVO_AVX512
typealias Square = (Vec, Vec, Vec, Vec, Vec, Vec, Vec, Vec, Vec, Vec, Vec, Vec, Vec, Vec, Vec, Vec)

@inline(__always) func shuffleRound(_ r: Square) -> Square {
    let (a, b) = zipped(r.0, r.8), (c, d) = zipped(r.1, r.9), (e, f) = zipped(r.2, r.10)
    let (g, h) = zipped(r.3, r.11), (i, j) = zipped(r.4, r.12), (k, l) = zipped(r.5, r.13)
    let (m, n) = zipped(r.6, r.14), (o, p) = zipped(r.7, r.15)
    return (a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p)
}

@inline(__always) func transposed(_ r: Square) -> Square {
    shuffleRound(shuffleRound(shuffleRound(shuffleRound(r))))
}
#elseif LVO_AVX2
typealias Square = (Vec, Vec, Vec, Vec, Vec, Vec, Vec, Vec)

@inline(__always) func shuffleRound(_ r: Square) -> Square {
    let (a, b) = zipped(r.0, r.4), (c, d) = zipped(r.1, r.5), (e, f) = zipped(r.2, r.6), (g, h) = zipped(r.3, r.7)
    return (a, b, c, d, e, f, g, h)
}

@inline(__always) func transposed(_ r: Square) -> Square { shuffleRound(shuffleRound(shuffleRound(r))) }
#else
typealias Square = (Vec, Vec, Vec, Vec)

@inline(__always) func shuffleRound(_ r: Square) -> Square {
    let (a, b) = zipped(r.0, r.2), (c, d) = zipped(r.1, r.3)
    return (a, b, c, d)
}

@inline(__always) func transposed(_ r: Square) -> Square { shuffleRound(shuffleRound(r)) }
#endif

/// Transposes the square whose row i is `source(i)` and hands each of its columns to `sink(column, vector)`.
@inline(__always) func transposeSquare(_ source: (Int) -> Vec, _ sink: (Int, Vec) -> Void) {
    #if LVO_AVX512
    let t = transposed(
        (
            source(0), source(1), source(2), source(3), source(4), source(5), source(6), source(7), source(8),
            source(9), source(10), source(11), source(12), source(13), source(14), source(15)
        ))
    #elseif LVO_AVX2
    let t = transposed(
        (source(0), source(1), source(2), source(3), source(4), source(5), source(6), source(7)))
    #else
    let t = transposed((source(0), source(1), source(2), source(3)))
    #endif
    sink(0, t.0)
    sink(1, t.1)
    sink(2, t.2)
    sink(3, t.3)
    #if LVO_AVX2 || LVO_AVX512
    sink(4, t.4)
    sink(5, t.5)
    sink(6, t.6)
    sink(7, t.7)
    #endif
    #if LVO_AVX512
    sink(8, t.8)
    sink(9, t.9)
    sink(10, t.10)
    sink(11, t.11)
    sink(12, t.12)
    sink(13, t.13)
    sink(14, t.14)
    sink(15, t.15)
    #endif
}
