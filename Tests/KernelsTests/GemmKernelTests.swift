import KernelInterface
import Ops
import TestSupport
import Testing

/// Every build of the kernels that this CPU can run.
func eachTable(_ body: (KernelTable) throws -> Void) throws {
    for name in InstructionSet.supported { try body(InstructionSet.kernels(named: name)) }
}

@Suite struct GemmKernelTests {
    /// A[rows, depth] · B[depth, columns] in double precision.
    private func product(_ a: [Float], _ b: [Float], rows: Int, depth: Int, columns: Int) -> [Double] {
        (0..<rows * columns).map { index in
            let (row, column) = (index / columns, index % columns)
            return (0..<depth).reduce(0.0) { $0 + Double(a[row * depth + $1]) * Double(b[$1 * columns + column]) }
        }
    }

    /// Rows of `a` in tiles, as the contract lays them out.
    private func packedTiles(_ a: [Float], rows: Int, depth: Int, tileRows: Int) -> [Float] {
        let tiles = (rows + tileRows - 1) / tileRows
        return (0..<tiles * depth * tileRows).map { index in
            let (tile, rest) = (index / (depth * tileRows), index % (depth * tileRows))
            let (k, row) = (rest / tileRows, tile * tileRows + rest % tileRows)
            return row < rows ? a[row * depth + k] : 0
        }
    }

    @Test func multiplyMatchesTheSumForEveryRemainder() throws {
        try eachTable { table in
            let gemm = table.gemm
            for rows in 1...2 * gemm.tileRows + 1 {
                for columns in [1, gemm.panelWidth / 2, gemm.panelWidth / 2 + 1, gemm.panelWidth] {
                    let depth = 1 + rows % 7
                    let a = randomFloats(rows * depth, seed: UInt64(rows)), stride = columns + 3
                    let b = randomFloats(depth * columns, seed: UInt64(columns))
                    var panel = [Float](repeating: 0, count: depth * gemm.panelWidth)
                    for k in 0..<depth { for j in 0..<columns { panel[k * gemm.panelWidth + j] = b[k * columns + j] } }
                    let start = randomFloats((rows - 1) * stride + columns, seed: 9)
                    for accumulate in [false, true] {
                        let c = accumulate ? GuardedBuffer(start) : GuardedBuffer(start.count, misalignment: 1)
                        gemm.multiply(
                            packedTiles(a, rows: rows, depth: depth, tileRows: gemm.tileRows), rows, depth, panel,
                            columns, c.pointer, stride, accumulate)
                        let result = c.array
                        let expected = product(a, b, rows: rows, depth: depth, columns: columns)
                        for row in 0..<rows {
                            for column in 0..<columns {
                                let before = accumulate ? Double(start[row * stride + column]) : 0
                                let error = Double(result[row * stride + column]) - expected[row * columns + column]
                                    - before
                                // depth + 1 roundings of values up to depth + 1.
                                #expect(abs(error) < 1e-7 * Double((depth + 1) * (depth + 1)))
                            }
                        }
                        #expect(c.isIntact, "\(table.instructionSet) \(rows)×\(columns) wrote outside")
                    }
                }
            }
        }
    }

    @Test func packRowsLaysOutTilesAndZeroRows() throws {
        try eachTable { table in
            let gemm = table.gemm
            for (rows, depth) in [(1, 1), (gemm.tileRows, 17), (gemm.tileRows + 1, 33), (2 * gemm.tileRows + 5, 16)] {
                let a = randomFloats(rows * depth + 5, seed: 3)
                var offsets = (0..<rows).map { 5 + $0 * depth }
                offsets[rows / 2] = -1
                var source = Array(a[5...])
                for k in 0..<depth { source[rows / 2 * depth + k] = 0 }
                let expected = packedTiles(source, rows: rows, depth: depth, tileRows: gemm.tileRows)
                let packed = GuardedBuffer(expected.count, misalignment: 1)
                gemm.packRows(a, offsets, rows, depth, packed.pointer, depth * gemm.tileRows)
                expectIdentical(packed.array, expected, "\(table.instructionSet) \(rows)×\(depth)")
                #expect(packed.isIntact)
            }
        }
    }

    @Test func packRowsInTwoRangesOfDepthGivesTheSameTiles() throws {
        try eachTable { table in
            let gemm = table.gemm
            let (rows, depth, first) = (2 * gemm.tileRows + 3, 50, 18)
            let a = randomFloats(rows * depth, seed: 4), offsets = (0..<rows).map { $0 * depth }
            let expected = packedTiles(a, rows: rows, depth: depth, tileRows: gemm.tileRows)
            let packed = GuardedBuffer(expected.count)
            let stride = depth * gemm.tileRows
            a.withUnsafeBufferPointer {
                gemm.packRows($0.baseAddress!, offsets, rows, first, packed.pointer, stride)
                gemm.packRows(
                    $0.baseAddress! + first, offsets, rows, depth - first, packed.pointer + first * gemm.tileRows,
                    stride)
            }
            expectIdentical(packed.array, expected, table.instructionSet)
        }
    }

    @Test func widenIsExactForEveryHalf() throws {
        let halves = (0...UInt16.max).map { $0 }
        try eachTable { table in
            let wide = GuardedBuffer(halves.count)
            table.gemm.widen(halves, halves.count, wide.pointer)
            for (half, value) in zip(halves, wide.array) {
                let expected = Float(Float16(bitPattern: half))
                if expected.isNaN {
                    #expect(value.isNaN)
                } else if value.bitPattern != expected.bitPattern {
                    Issue.record("\(table.instructionSet): half \(half) became \(value), not \(expected)")
                }
            }
            #expect(wide.isIntact)
        }
    }

    @Test func transposePanelTransposesAndFillsWithZeros() throws {
        try eachTable { table in
            let gemm = table.gemm, width = gemm.panelWidth
            for rows in [1, width / 2 + 1, width] {
                let halves = randomFloats(width * width, seed: 5).map { Float16($0) }
                let source = halves.map { Float($0) }
                let expected = (0..<width * width).map { $0 % width < rows ? source[$0 % width * width + $0 / width] : 0 }
                let (out, outHalf) = (GuardedBuffer(width * width), GuardedBuffer(width * width))
                gemm.transposePanel(source, rows, out.pointer)
                gemm.transposePanelHalf(halves.map(\.bitPattern), rows, outHalf.pointer)
                expectIdentical(out.array, expected, table.instructionSet)
                expectIdentical(outHalf.array, expected, table.instructionSet)
                #expect(out.isIntact && outHalf.isIntact)
            }
        }
    }

    @Test func writeRowsAddsBiasesAndOther() throws {
        try eachTable { table in
            let width = table.gemm.panelWidth
            for columns in 1...2 * width + 1 {
                let (rows, stride) = (3, columns + 2)
                let panelStride = rows * width + 5
                let sums = randomFloats((columns + width - 1) / width * panelStride + width, seed: 6)
                let bias = randomFloats(columns, seed: 7), second = randomFloats(columns, seed: 9)
                let before = randomFloats((rows - 1) * stride + columns, seed: 5)
                let other = randomFloats(before.count, seed: 8)
                let y = GuardedBuffer(before, misalignment: 1)
                table.gemm.writeRows(sums, panelStride, rows, columns, bias, second, other, y.pointer, stride)
                let expected = before.indices.map { index in
                    let (row, column) = (index / stride, index % stride)
                    guard column < columns else { return before[index] }
                    let sum = sums[column / width * panelStride + row * width + column % width]
                    return sum + other[index] + bias[column] + second[column]
                }
                expectIdentical(y.array, expected, "\(table.instructionSet) \(columns)")
                #expect(y.isIntact)
            }
        }
    }

    /// Bit for bit the separate GEGLU of the projected rows, whether those are kept or not.
    @Test func writeGatedIsGEGLU() throws {
        try eachTable { table in
            let (rows, columns, width) = (3, 2 * table.gemm.panelWidth, table.gemm.panelWidth)
            let panelStride = rows * width
            let sums = randomFloats(4 * panelStride, seed: 6, scale: 3)
            let bias = randomFloats(columns, seed: 7), gateBias = randomFloats(columns, seed: 8)
            let projected = (0..<rows * 2 * columns).map { index in
                let (row, column) = (index / (2 * columns), index % (2 * columns))
                let sum = sums[column / width * panelStride + row * width + column % width]
                return sum + (column < columns ? bias[column] : gateBias[column - columns])
            }
            var expected = [Float](repeating: 0, count: rows * columns)
            table.elementwise.geglu(projected, &expected, rows, columns)
            let (y, kept) = (GuardedBuffer(rows * columns), GuardedBuffer(rows * 2 * columns))
            table.gemm.writeGated(sums, panelStride, rows, columns, bias, gateBias, y.pointer, columns, kept.pointer)
            expectIdentical(y.array, expected, table.instructionSet)
            expectIdentical(kept.array, projected, table.instructionSet)
            #expect(y.isIntact && kept.isIntact)
            let alone = GuardedBuffer(rows * columns)
            table.gemm.writeGated(sums, panelStride, rows, columns, bias, gateBias, alone.pointer, columns, nil)
            expectIdentical(alone.array, expected, table.instructionSet)
        }
    }
}
