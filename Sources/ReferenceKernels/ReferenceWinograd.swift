// Twins of `WinogradKernels`: the same formulas with their matrices written out.
import RealModule

/// F(m×m, 3×3) with Lavin & Gray's matrices (arXiv 1509.09308): `Y = Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A`.
public struct ReferenceWinograd: Sendable {
    /// m.
    public let outputSize: Int
    /// Bᵀ `[p][p]`, G `[p][3]`, Aᵀ `[m][p]`, p = m + 2.
    let b, g, a: [[Double]]

    /// p: points of a tile's side.
    public var points: Int { outputSize + 2 }

    /// F(2×2, 3×3), points 0, ±1, ∞.
    public static let two = ReferenceWinograd(
        outputSize: 2,
        b: [[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]],
        g: [[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]],
        a: [[1, 1, 1, 0], [0, 1, -1, -1]])

    /// F(4×4, 3×3), points 0, ±1, ±2, ∞.
    public static let four = ReferenceWinograd(
        outputSize: 4,
        b: [
            [4, 0, -5, 0, 1, 0], [0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0], [0, -2, -1, 2, 1, 0],
            [0, 2, -1, -2, 1, 0], [0, 4, 0, -5, 0, 1],
        ],
        g: [
            [1.0 / 4, 0, 0], [-1.0 / 6, -1.0 / 6, -1.0 / 6], [-1.0 / 6, 1.0 / 6, -1.0 / 6],
            [1.0 / 24, 1.0 / 12, 1.0 / 6], [1.0 / 24, -1.0 / 12, 1.0 / 6], [0, 0, 1],
        ],
        a: [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]])

    /// F(4×4, 3×3), points 0, ±2/3, ±3/2, ∞, rows of G scaled to length 1: what `IntegerWinogradKernels` rounds.
    public static let unit: ReferenceWinograd = {
        let (a, b, length) = (2.0 / 3, 1.5, Double(133).squareRoot())
        // What the points' rows of G are divided by, and their columns of A multiplied.
        let (scaleA, scaleB) = (-length * 36 / 520, length * 2 / 65)
        func powers(_ exponent: Double) -> [Double] {
            let (atA, atB) = (scaleA * Double.pow(a, exponent), scaleB * Double.pow(b, exponent))
            let sign = exponent.truncatingRemainder(dividingBy: 2) == 0 ? 1.0 : -1
            return [exponent == 0 ? 1 : 0, atA, sign * atA, atB, sign * atB, exponent == 3 ? 1 : 0]
        }
        return ReferenceWinograd(
            outputSize: 4,
            b: [
                [1, 0, -97 / 36.0, 0, 1, 0], [0, -1.5, -2.25, a, 1, 0], [0, 1.5, -2.25, -a, 1, 0],
                [0, -a, -4 / 9.0, b, 1, 0], [0, a, -4 / 9.0, -b, 1, 0], [0, 1, 0, -97 / 36.0, 0, 1],
            ],
            g: [
                [1, 0, 0], [9 / length, 6 / length, 4 / length], [9 / length, -6 / length, 4 / length],
                [4 / length, 6 / length, 9 / length], [4 / length, -6 / length, 9 / length], [0, 0, 1],
            ],
            a: (0..<4).map { powers(Double($0)) })
    }()

    /// `M x Mᵀ` of a square x.
    private func transform<T: ReferenceScalar>(_ matrix: [[Double]], _ x: [T]) -> [T] {
        let n = matrix[0].count
        var result: [T] = []
        for left in matrix {
            for right in matrix {
                var sum = T.real(0)
                for i in 0..<n { for j in 0..<n { sum += T.real(left[i] * right[j]) * x[i * n + j] } }
                result.append(sum)
            }
        }
        return result
    }

    /// Twin of `filter` (and, on widened numbers, of `filterHalf`): `[9][count]` to `[p²][count]`.
    public func filter<T: ReferenceScalar>(_ taps: [T]) -> [T] { each(taps, 9) { transform(g, $0) } }

    /// Twin of `input`, before it is laid out in row tiles: `[p²][count]` to `[p²][count]`.
    public func input<T: ReferenceScalar>(_ pixels: [T]) -> [T] { each(pixels, points * points) { transform(b, $0) } }

    /// Twin of `output`, before bias and residual are added: `[p²][count]` to `[m²][count]`.
    public func output<T: ReferenceScalar>(_ products: [T]) -> [T] {
        each(products, points * points) { transform(a, $0) }
    }

    /// Transforms column by column of `[elements][count]`.
    private func each<T: ReferenceScalar>(_ x: [T], _ elements: Int, _ transform: ([T]) -> [T]) -> [T] {
        let count = x.count / elements
        let columns = (0..<count).map { column in transform((0..<elements).map { x[$0 * count + column] }) }
        guard let first = columns.first else { return [] }
        return first.indices.flatMap { element in columns.map { $0[element] } }
    }
}
