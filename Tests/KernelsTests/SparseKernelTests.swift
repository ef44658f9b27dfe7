import KernelInterface
import ReferenceKernels
import TestSupport
import Testing

@Suite struct SparseKernelTests {
    /// Rows of a matrix with more floats between them than they have, and some of its rows, one of them twice.
    private struct Rows {
        let stride: Int
        let matrix: GuardedBuffer
        let ids: [UInt32]

        init(_ ids: [UInt32], columns: Int) {
            stride = columns + 3
            // The last row ends where its own floats do: nothing beyond may be read (it is NaN).
            matrix = GuardedBuffer(randomFloats(8 * stride + columns, seed: UInt64(columns)), misalignment: 1)
            self.ids = ids
        }
    }

    private static let ids: [UInt32] = [7, 0, 3, 8, 3, 5, 1, 2, 6]

    /// Widths around one vector, and around the eight and four vectors that the kernels take at once.
    private func widths(_ lanes: Int) -> [Int] { Array(1...2 * lanes + 1) + [4 * lanes + 1, 8 * lanes, 17 * lanes + 3] }

    @Test func packPanelGathersRowsAsColumns() throws {
        try eachTable { table in
            let width = table.gemm.panelWidth
            for depth in [1, 63, 64, 65, 130] {
                for columns in [1, width / 2 + 1, width] {
                    let rows = Rows((0..<columns).map { UInt32($0 * 5 % 9) }, columns: depth)
                    let panel = GuardedBuffer(depth * width, misalignment: 1)
                    table.sparse.packPanel(rows.matrix.pointer, rows.stride, rows.ids, columns, depth, panel.pointer)
                    let expected = Reference.packPanel(
                        rows.matrix.array, stride: rows.stride, ids: rows.ids, depth: depth, panelWidth: width)
                    expectIdentical(panel.array, expected, "\(columns)×\(depth), \(table.instructionSet)")
                    #expect(panel.isIntact)
                }
            }
        }
    }

    /// Multiples of 1/4, so that sums are exact and many activations are equal: ties go to the lower index.
    private func tile(_ rows: Int, _ width: Int) -> (tile: [Float], bias: [Float], ids: [UInt32]) {
        func quarters(_ count: Int, _ seed: UInt64) -> [Float] {
            randomFloats(count, seed: seed, scale: 4).map { ($0 * 4).rounded() / 4 }
        }
        return (quarters(rows * width, 3), quarters(width, 4), (0..<width).map { UInt32(2 * $0 + $0 / 5) })
    }

    @Test func selectFindsEveryKeyAboveTheBound() throws {
        try eachTable { table in
            let width = table.gemm.panelWidth
            for columns in [1, width / 2, width / 2 + 1, width - 1, width] {
                let rows = 5
                let (tile, bias, allIDs) = tile(rows, width)
                let ids = Array(allIDs[..<columns])
                func expected(_ bound: UInt64) -> [UInt64] {
                    Reference.select(
                        tile, rows: rows, bias: Array(bias[..<width]), ids: ids, firstIndex: 1000, indexStride: 200,
                        bound: bound)
                }
                let all = expected(0).sorted()
                #expect(all.count == rows * columns)
                // Nothing, everything, and each key that is there: of equal values some are above and some below.
                for bound in [0, UInt64.max, Reference.key(0.125, 0)] + all {
                    let keys = KeyBuffer(rows * columns)
                    let count = table.sparse.select(
                        tile, rows, bias, ids, columns, 1000, 200, bound, keys.pointer)
                    let name = "\(columns) columns above \(bound), \(table.instructionSet)"
                    #expect(keys.first(count).sorted() == expected(bound).sorted(), "\(name)")
                    #expect(keys.isIntact(after: count), "\(name) wrote outside")
                }
            }
        }
    }

    @Test func selectAboveFindsWhatPassesItsColumnsGate() throws {
        try eachTable { table in
            let width = table.gemm.panelWidth
            for columns in [1, width / 2 + 1, width] {
                let rows = 5
                let (tile, bias, allIDs) = tile(rows, width)
                let (ids, gate) = (Array(allIDs[..<columns]), self.tile(1, width).tile)
                let keys = KeyBuffer(rows * columns)
                let count = table.sparse.selectAbove(tile, rows, bias, gate, ids, columns, 7, 300, keys.pointer)
                let expected = Reference.selectAbove(
                    tile, rows: rows, bias: bias, gate: gate, ids: ids, firstIndex: 7, indexStride: 300)
                #expect(count > 0 || columns == 1)
                #expect(keys.first(count).sorted() == expected.sorted(), "\(columns), \(table.instructionSet)")
                #expect(keys.isIntact(after: count))
            }
        }
    }

    @Test func countPositiveLeavesOutPaddedColumns() throws {
        try eachTable { table in
            let width = table.gemm.panelWidth
            for columns in [1, width / 2 + 1, width] {
                let (tile, bias, _) = tile(7, width)
                let padded = bias.enumerated().map { $0.offset < columns ? $0.element : -.infinity }
                let expected = Reference.countPositive(tile, rows: 7, bias: padded)
                #expect(table.sparse.countPositive(tile, 7, padded) == expected, "\(table.instructionSet)")
                #expect(expected > 0)
            }
        }
    }

    @Test func sumRowsAgreesWithTheTwinForEveryWidth() throws {
        try eachTable { table in
            for columns in widths(table.lanes) {
                for count in [0, 1, 2, 9] {
                    let rows = Rows(Array(Self.ids.prefix(count)), columns: columns)
                    let factors = randomFloats(count, seed: 2), start = randomFloats(columns, seed: 5)
                    for accumulate in [false, true] {
                        let out = accumulate ? GuardedBuffer(start, misalignment: 2) : GuardedBuffer(columns)
                        table.sparse.sumRows(
                            rows.ids, factors, count, rows.matrix.pointer, rows.stride, columns, out.pointer,
                            accumulate)
                        let expected = Reference.sumRows(
                            ids: rows.ids, factors: factors.doubles, rows.matrix.array.doubles, stride: rows.stride,
                            start: accumulate ? start.doubles : [Double](repeating: 0, count: columns))
                        let name = "\(count) rows of \(columns), \(table.instructionSet)"
                        // Ten roundings of sums up to 10.
                        expectEachClose(out.array, expected, absolute: 100 * 6e-8, name)
                        #expect(out.isIntact, "\(name) wrote outside")
                    }
                }
            }
        }
    }

    @Test func dotRowsAgreesWithTheTwinForEveryWidth() throws {
        try eachTable { table in
            for columns in widths(table.lanes) {
                let vector = GuardedBuffer(randomFloats(columns, seed: 6), misalignment: 3)
                for count in [0, 1, 3, 4, 5, 9] {
                    let rows = Rows(Array(Self.ids.prefix(count)), columns: columns)
                    let start = randomFloats(count, seed: 5)
                    for accumulate in [false, true] {
                        let out = accumulate ? GuardedBuffer(start, misalignment: 2) : GuardedBuffer(count)
                        table.sparse.dotRows(
                            vector.pointer, rows.ids, count, rows.matrix.pointer, rows.stride, columns, out.pointer,
                            accumulate)
                        let expected = Reference.dotRows(
                            vector.array.doubles, ids: rows.ids, rows.matrix.array.doubles, stride: rows.stride,
                            start: accumulate ? start.doubles : [Double](repeating: 0, count: count))
                        let name = "\(count) rows of \(columns), \(table.instructionSet)"
                        expectEachClose(out.array, expected, absolute: Self.bound(columns), name)
                        #expect(out.isIntact, "\(name) wrote outside")
                    }
                }
            }
        }
    }

    /// Rounding of a sum of `terms` products of numbers below 1: partial sums stay below terms/2.
    private static func bound(_ terms: Int) -> Double { 6e-8 * Double(terms + 2) * (Double(terms).squareRoot() + 1) }

    @Test func dotAgreesWithTheTwinForEveryCount() throws {
        try eachTable { table in
            for count in Array(0...9 * table.lanes + 1) {
                let a = GuardedBuffer(randomFloats(count, seed: 1), misalignment: 1)
                let b = GuardedBuffer(randomFloats(count, seed: 2), misalignment: 2)
                let expected = Reference.dot(a.array.doubles, b.array.doubles)
                let sum = table.sparse.dot(a.pointer, b.pointer, count)
                #expect(abs(Double(sum) - expected) <= Self.bound(count), "\(count), \(table.instructionSet)")
            }
        }
    }

    @Test func combineAgreesWithTheTwinAlsoInPlace() throws {
        try eachTable { table in
            for count in 0...4 * table.lanes + 1 {
                func inputs() -> (a: GuardedBuffer, b: GuardedBuffer, out: GuardedBuffer) {
                    (
                        GuardedBuffer(randomFloats(count, seed: 1), misalignment: 1),
                        GuardedBuffer(randomFloats(count, seed: 2), misalignment: 2), GuardedBuffer(count)
                    )
                }
                let (a, b, out) = inputs()
                let squares = table.sparse.combine(a.pointer, 0.7, b.pointer, -0.4, count, out.pointer)
                let expected = Reference.combine(
                    a.array.doubles, Double(Float(0.7)), b.array.doubles, Double(Float(-0.4)))
                let name = "\(count), \(table.instructionSet)"
                expectEachClose(out.array, expected, absolute: 1.2e-7, name)
                #expect(abs(Double(squares) - Reference.dot(expected, expected)) <= Self.bound(count), "\(name)")
                let (a2, b2, _) = inputs()
                let again = table.sparse.combine(a2.pointer, 0.7, b2.pointer, -0.4, count, a2.pointer)
                expectIdentical(a2.array, out.array, "into a, \(name)")
                let (a3, b3, _) = inputs()
                let third = table.sparse.combine(a3.pointer, 0.7, b3.pointer, -0.4, count, b3.pointer)
                expectIdentical(b3.array, out.array, "into b, \(name)")
                #expect(again == squares && third == squares, "\(name)")
                #expect([a, b, out, a2, b2, a3, b3].allSatisfy { $0.isIntact }, "\(name) wrote outside")
            }
        }
    }

    @Test func adamAgreesWithTheTwinForEveryCount() throws {
        let step = AdamStep(beta1: 0.9, beta2: 0.999, epsilon: 1e-3, size: 0.01, rootScale: 3)
        try eachTable { table in
            for count in 0...4 * table.lanes + 1 {
                let weights = GuardedBuffer(randomFloats(count, seed: 1), misalignment: 1)
                let gradient = GuardedBuffer(randomFloats(count, seed: 2), misalignment: 2)
                let mean = GuardedBuffer(randomFloats(count, seed: 3), misalignment: 3)
                let square = GuardedBuffer(randomFloats(count, seed: 4).map(abs), misalignment: 1)
                let expected = Reference.adam(
                    weights: weights.array.doubles, gradient: gradient.array.doubles, mean: mean.array.doubles,
                    square: square.array.doubles, beta1: Double(step.beta1), beta2: Double(step.beta2),
                    epsilon: Double(step.epsilon), size: Double(step.size), rootScale: Double(step.rootScale),
                    scale: 0.5, parallel: 0.25)
                table.sparse.adam(
                    weights.pointer, gradient.pointer, mean.pointer, square.pointer, count, step, 0.5, 0.25)
                let name = "\(count), \(table.instructionSet)"
                expectEachClose(weights.array, expected.weights, absolute: 3e-7, name)
                expectEachClose(mean.array, expected.mean, absolute: 3e-7, name)
                // 1 − β₂ in float32 is 1e-3 to 3e-5 of itself.
                expectEachClose(square.array, expected.square, absolute: 3e-7, name)
                #expect([weights, gradient, mean, square].allSatisfy { $0.isIntact }, "\(name) wrote outside")
            }
        }
    }
}

/// Room for keys between guard words.
private final class KeyBuffer {
    private let floats: GuardedBuffer
    private let capacity: Int

    init(_ count: Int) {
        capacity = count
        floats = GuardedBuffer(2 * count)
    }

    var pointer: UnsafeMutablePointer<UInt64> {
        UnsafeMutableRawPointer(floats.pointer).assumingMemoryBound(to: UInt64.self)
    }

    func first(_ count: Int) -> [UInt64] { (0..<min(count, capacity)).map { pointer[$0] } }

    /// Whether nothing outside, and nothing behind the first `count` keys, was written: that is still NaN.
    func isIntact(after count: Int) -> Bool { floats.isIntact && floats.array[(2 * count)...].allSatisfy(\.isNaN) }
}
