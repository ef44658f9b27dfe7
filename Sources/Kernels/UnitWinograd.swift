/// F(4×4, 3×3) at the points 0, ±a, ±b, ∞ with a = 2/3, b = 3/2, rows of G scaled to length 1 and the columns of A by what
/// those were divided by (`IntegerWinogradKernels`). As a·b = 1, both polynomials (x² − a²)(x² − b²) begin and end with 1.
enum UnitWinograd4: SixPointScheme {
    /// Bᵀ: for 0 the row (1, 0, −(a² + b²), 0, 1, 0); for ±a (0, ∓ab², −b², ±a, 1, 0); for ±b the same with a and b exchanged;
    /// for ∞ the first row, one column to the right.
    @inline(__always) static func input(
        _ d: UnsafePointer<Float>, _ stride: Int, _ out: UnsafeMutablePointer<Float>, _ outStride: Int
    ) {
        let (d0, d1, d2) = (d.vec(0), d.vec(stride), d.vec(2 * stride))
        let (d3, d4, d5) = (d.vec(3 * stride), d.vec(4 * stride), d.vec(5 * stride))
        let a = Vec(repeating: 2.0 / 3), b = Vec(repeating: 1.5), middle = Vec(repeating: -97.0 / 36)
        let minusA2 = Vec(repeating: -4.0 / 9), minusB2 = Vec(repeating: -2.25)
        let (evenA, oddA) = (multiplyAdd(minusB2, d2, d4), multiplyAdd(minusB2, d1, d3) * a)
        let (evenB, oddB) = (multiplyAdd(minusA2, d2, d4), multiplyAdd(minusA2, d1, d3) * b)
        out.store(multiplyAdd(middle, d2, d0 + d4), 0)
        out.store(evenA + oddA, outStride)
        out.store(evenA - oddA, 2 * outStride)
        out.store(evenB + oddB, 3 * outStride)
        out.store(evenB - oddB, 4 * outStride)
        out.store(multiplyAdd(middle, d3, d1 + d5), 5 * outStride)
    }

    /// Aᵀ: powers 0 to 3 of the points, those of ±a times −√133·36/520, those of ±b times √133·2/65.
    @inline(__always) static func output(
        _ d: UnsafePointer<Float>, _ stride: Int, _ out: UnsafeMutablePointer<Float>, _ outStride: Int
    ) {
        let scaleA: Float = -0.79840818, scaleB: Float = 0.35484808
        let (d1, d2, d3, d4) = (d.vec(stride), d.vec(2 * stride), d.vec(3 * stride), d.vec(4 * stride))
        let (sumA, differenceA) = ((d1 + d2) * scaleA, (d1 - d2) * (scaleA * 2 / 3))
        let (sumB, differenceB) = ((d3 + d4) * scaleB, (d3 - d4) * (scaleB * 3 / 2))
        let a2 = Vec(repeating: 4.0 / 9), b2 = Vec(repeating: 2.25)
        out.store(d.vec(0) + (sumA + sumB), 0)
        out.store(differenceA + differenceB, outStride)
        out.store(multiplyAdd(a2, sumA, b2 * sumB), 2 * outStride)
        out.store(multiplyAdd(a2, differenceA, multiplyAdd(b2, differenceB, d.vec(5 * stride))), 3 * outStride)
    }

    /// G: (1, ±a, a²) = (9, ±6, 4)/9 and (1, ±b, b²) = (4, ±6, 9)/4, of length √133/9 and √133/4.
    @inline(__always) static func column(_ g0: Vec, _ g1: Vec, _ g2: Vec) -> (Vec, Vec, Vec, Vec, Vec, Vec) {
        let four = Vec(repeating: 0.34684399), six = Vec(repeating: 0.52026598), nine = Vec(repeating: 0.78039897)
        let middle = six * g1
        let (evenA, evenB) = (multiplyAdd(nine, g0, four * g2), multiplyAdd(four, g0, nine * g2))
        return (g0, evenA + middle, evenA - middle, evenB + middle, evenB - middle, g2)
    }
}
