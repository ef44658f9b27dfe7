// The three one-dimensional transforms of F(m, 3), each applied along columns, then along rows.

protocol WinogradScheme {
    /// m.
    static var outputSize: Int { get }
    /// Bᵀ: p vectors `stride` apart to p vectors.
    static func input(
        _ d: UnsafePointer<Float>, _ stride: Int, _ out: UnsafeMutablePointer<Float>, _ outStride: Int)
    /// Aᵀ: p vectors to m vectors.
    static func output(
        _ d: UnsafePointer<Float>, _ stride: Int, _ out: UnsafeMutablePointer<Float>, _ outStride: Int)
    /// G g Gᵀ of nine vectors; `store(e, value)` for each of p² elements.
    static func filter(_ g: (Int) -> Vec, _ store: (Int, Vec) -> Void)
}

extension WinogradScheme {
    @inline(__always) static var points: Int { outputSize + 2 }
    @inline(__always) static var elements: Int { points * points }
}

/// F(4×4, 3×3), whatever the points.
protocol SixPointScheme: WinogradScheme {
    /// G: three vectors to six.
    static func column(_ g0: Vec, _ g1: Vec, _ g2: Vec) -> (Vec, Vec, Vec, Vec, Vec, Vec)
}

extension SixPointScheme {
    @inline(__always) static var outputSize: Int { 4 }

    @inline(__always) static func filter(_ g: (Int) -> Vec, _ store: (Int, Vec) -> Void) {
        let a = column(g(0), g(3), g(6)), b = column(g(1), g(4), g(7)), c = column(g(2), g(5), g(8))
        row(0, a.0, b.0, c.0, store)
        row(1, a.1, b.1, c.1, store)
        row(2, a.2, b.2, c.2, store)
        row(3, a.3, b.3, c.3, store)
        row(4, a.4, b.4, c.4, store)
        row(5, a.5, b.5, c.5, store)
    }

    @inline(__always) private static func row(
        _ index: Int, _ g0: Vec, _ g1: Vec, _ g2: Vec, _ store: (Int, Vec) -> Void
    ) {
        let t = column(g0, g1, g2)
        store(6 * index, t.0)
        store(6 * index + 1, t.1)
        store(6 * index + 2, t.2)
        store(6 * index + 3, t.3)
        store(6 * index + 4, t.4)
        store(6 * index + 5, t.5)
    }
}

/// F(4×4, 3×3) at the points 0, ±1, ±2, ∞. Matrices of Lavin & Gray.
enum Winograd4: SixPointScheme {
    @inline(__always) static func input(
        _ d: UnsafePointer<Float>, _ stride: Int, _ out: UnsafeMutablePointer<Float>, _ outStride: Int
    ) {
        let (d0, d1, d2) = (d.vec(0), d.vec(stride), d.vec(2 * stride))
        let (d3, d4, d5) = (d.vec(3 * stride), d.vec(4 * stride), d.vec(5 * stride))
        let four = Vec(repeating: 4), minusFour = Vec(repeating: -4), minusFive = Vec(repeating: -5)
        let even = multiplyAdd(minusFour, d2, d4)
        let odd = multiplyAdd(minusFour, d1, d3)
        let evenSmall = d4 - d2
        let oddSmall = (d3 - d1) * 2
        out.store(multiplyAdd(four, d0, multiplyAdd(minusFive, d2, d4)), 0)
        out.store(even + odd, outStride)
        out.store(even - odd, 2 * outStride)
        out.store(evenSmall + oddSmall, 3 * outStride)
        out.store(evenSmall - oddSmall, 4 * outStride)
        out.store(multiplyAdd(four, d1, multiplyAdd(minusFive, d3, d5)), 5 * outStride)
    }

    @inline(__always) static func output(
        _ d: UnsafePointer<Float>, _ stride: Int, _ out: UnsafeMutablePointer<Float>, _ outStride: Int
    ) {
        let (d0, d1, d2) = (d.vec(0), d.vec(stride), d.vec(2 * stride))
        let (d3, d4, d5) = (d.vec(3 * stride), d.vec(4 * stride), d.vec(5 * stride))
        let (sum1, difference1) = (d1 + d2, d1 - d2)
        let (sum2, difference2) = (d3 + d4, d3 - d4)
        out.store(d0 + sum1 + sum2, 0)
        out.store(multiplyAdd(Vec(repeating: 2), difference2, difference1), outStride)
        out.store(multiplyAdd(Vec(repeating: 4), sum2, sum1), 2 * outStride)
        out.store(multiplyAdd(Vec(repeating: 8), difference2, difference1) + d5, 3 * outStride)
    }

    @inline(__always) static func column(_ g0: Vec, _ g1: Vec, _ g2: Vec) -> (Vec, Vec, Vec, Vec, Vec, Vec) {
        let sum = (g0 + g2) * Float(-1.0 / 6), middle = g1 * Float(1.0 / 6)
        let wide = multiplyAdd(Vec(repeating: 1.0 / 24), g0, g2 * Float(1.0 / 6)), wideMiddle = g1 * Float(1.0 / 12)
        return (g0 * 0.25, sum - middle, sum + middle, wide + wideMiddle, wide - wideMiddle, g2)
    }
}

/// F(2×2, 3×3) at the points 0, ±1, ∞.
enum Winograd2: WinogradScheme {
    @inline(__always) static var outputSize: Int { 2 }

    @inline(__always) static func input(
        _ d: UnsafePointer<Float>, _ stride: Int, _ out: UnsafeMutablePointer<Float>, _ outStride: Int
    ) {
        let (d0, d1, d2, d3) = (d.vec(0), d.vec(stride), d.vec(2 * stride), d.vec(3 * stride))
        out.store(d0 - d2, 0)
        out.store(d1 + d2, outStride)
        out.store(d2 - d1, 2 * outStride)
        out.store(d1 - d3, 3 * outStride)
    }

    @inline(__always) static func output(
        _ d: UnsafePointer<Float>, _ stride: Int, _ out: UnsafeMutablePointer<Float>, _ outStride: Int
    ) {
        let (d0, d1, d2, d3) = (d.vec(0), d.vec(stride), d.vec(2 * stride), d.vec(3 * stride))
        out.store(d0 + d1 + d2, 0)
        out.store(d1 - d2 - d3, outStride)
    }

    @inline(__always) static func filter(_ g: (Int) -> Vec, _ store: (Int, Vec) -> Void) {
        let a = column(g(0), g(3), g(6)), b = column(g(1), g(4), g(7)), c = column(g(2), g(5), g(8))
        row(0, a.0, b.0, c.0, store)
        row(1, a.1, b.1, c.1, store)
        row(2, a.2, b.2, c.2, store)
        row(3, a.3, b.3, c.3, store)
    }

    @inline(__always) private static func column(_ g0: Vec, _ g1: Vec, _ g2: Vec) -> (Vec, Vec, Vec, Vec) {
        let sum = (g0 + g2) * 0.5, middle = g1 * 0.5
        return (g0, sum + middle, sum - middle, g2)
    }

    @inline(__always) private static func row(
        _ index: Int, _ g0: Vec, _ g1: Vec, _ g2: Vec, _ store: (Int, Vec) -> Void
    ) {
        let t = column(g0, g1, g2)
        store(4 * index, t.0)
        store(4 * index + 1, t.1)
        store(4 * index + 2, t.2)
        store(4 * index + 3, t.3)
    }
}
