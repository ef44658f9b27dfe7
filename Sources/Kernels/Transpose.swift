// Square blocks of lanes × lanes floats, transposed in registers, a quarter of an instruction per element or less, where
// scalar stores would cost one each. With 4 and 8 lanes by rounds of perfect shuffles: zipping row i with row i + n/2 and
// repeating log₂ n times exchanges rows and columns. With 16 by 64 shuffles: columns within quarters of the rows, then
// quarters. For rounds of perfect shuffles the compiler made 150–200, and spilled registers between them.
#if LVO_AVX512
import CInstructions
#endif

/// (a0 b0 a1 b1 …, the same from the upper halves).
@inline(__always) func zipped(_ a: Vec, _ b: Vec) -> (Vec, Vec) {
    #if LVO_AVX512
    return (zip_lower(a, b), zip_upper(a, b))
    #else
    var low = Vec.zero, high = Vec.zero
    low.evenHalf = a.lowHalf
    low.oddHalf = b.lowHalf
    high.evenHalf = a.highHalf
    high.oddHalf = b.highHalf
    return (low, high)
    #endif
}

#if LVO_AVX512
typealias Square = (Vec, Vec, Vec, Vec, Vec, Vec, Vec, Vec, Vec, Vec, Vec, Vec, Vec, Vec, Vec, Vec)

/// The columns of four rows, of each quarter of them: [quarter][row].
@inline(__always) func quarterColumns(_ a: Vec, _ b: Vec, _ c: Vec, _ d: Vec) -> (Vec, Vec, Vec, Vec) {
    let (ab, cd) = (zip_first(a, b), zip_first(c, d))
    let (abLast, cdLast) = (zip_last(a, b), zip_last(c, d))
    return (join_first(ab, cd), join_last(ab, cd), join_first(abLast, cdLast), join_last(abLast, cdLast))
}

/// The first, second … quarters of four vectors side by side.
@inline(__always) func quarters(_ a: Vec, _ b: Vec, _ c: Vec, _ d: Vec) -> (Vec, Vec, Vec, Vec) {
    let (even, evenNext) = (even_quarters(a, b), even_quarters(c, d))
    let (odd, oddNext) = (odd_quarters(a, b), odd_quarters(c, d))
    return (
        even_quarters(even, evenNext), even_quarters(odd, oddNext), odd_quarters(even, evenNext),
        odd_quarters(odd, oddNext)
    )
}

@inline(__always) func transposed(_ r: Square) -> Square {
    let a = quarterColumns(r.0, r.1, r.2, r.3), b = quarterColumns(r.4, r.5, r.6, r.7)
    let c = quarterColumns(r.8, r.9, r.10, r.11), d = quarterColumns(r.12, r.13, r.14, r.15)
    let e = quarters(a.0, b.0, c.0, d.0), f = quarters(a.1, b.1, c.1, d.1)
    let g = quarters(a.2, b.2, c.2, d.2), h = quarters(a.3, b.3, c.3, d.3)
    return (e.0, f.0, g.0, h.0, e.1, f.1, g.1, h.1, e.2, f.2, g.2, h.2, e.3, f.3, g.3, h.3)
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
