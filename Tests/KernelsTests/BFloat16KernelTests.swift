import KernelInterface
import Ops
import ReferenceKernels
import TestSupport
import Testing

@Suite struct BFloat16KernelTests {
    /// Memory of words between guards.
    private struct Words {
        let buffer: GuardedBuffer
        init(_ count: Int, misalignment: Int = 0) { buffer = GuardedBuffer(count, misalignment: misalignment) }
        var pointer: UnsafeMutablePointer<UInt32> {
            UnsafeMutableRawPointer(buffer.pointer).assumingMemoryBound(to: UInt32.self)
        }
        var array: [UInt32] { Array(UnsafeBufferPointer(start: pointer, count: buffer.count)) }
    }

    /// Zeros, subnormals, ties, the numbers around the largest one, infinities, NaNs, and bits drawn by chance.
    private static let hardNumbers: [Float] = {
        let bits: [UInt32] = [
            0, 1, 0x7F_FFFF, 0x80_0000, 0x3F80_7FFF, 0x3F80_8000, 0x3F80_8001, 0x3F81_7FFF, 0x3F81_8000, 0x3F81_8001,
            0x7F7F_7FFF, 0x7F7F_8000, 0x7F7F_FFFF, 0x7F80_0000, 0x7FC0_0000, 0x7F80_0001, 0x80_7FFF, 0x80_8000,
        ]
        let random = randomFloats(1100, seed: 11).map { $0.bitPattern &* 2_654_435_761 }
        return (bits + bits.map { $0 | 0x8000_0000 } + random).map { Float(bitPattern: $0) }
    }()

    private func expectSame(_ words: [UInt32], _ expected: [UInt32], _ name: String) {
        let differing = zip(words, expected).enumerated().first { _, pair in
            let (a, b) = (Reference.numbers(pair.0), Reference.numbers(pair.1))
            func same(_ x: Float, _ y: Float) -> Bool { x.isNaN ? y.isNaN : x.bitPattern == y.bitPattern }
            return !same(a.low, b.low) || !same(a.high, b.high)
        }
        #expect(words.count == expected.count && differing == nil, "\(name): \(String(describing: differing))")
    }

    @Test func packRowsRoundsEveryKindOfNumberToTheNearest() throws {
        try eachTable { table in
            let numbers = Self.hardNumbers
            for depth in [1, 2, 7, 2 * table.lanes, 4 * table.lanes + 3] {
                let rows = numbers.count / depth
                let offsets = (0..<rows).map { $0 * depth }
                let kernels = table.bfloat16
                let expected = Reference.packRowPairs(
                    numbers, offsets: offsets, depth: depth, tileRows: kernels.tileRows, depthBlock: kernels.depthBlock)
                let packed = Words(expected.count, misalignment: 1)
                kernels.packRows(
                    numbers, offsets, rows, depth, packed.pointer, kernels.pairs(depth) * kernels.tileRows)
                expectSame(packed.array, expected, "\(table.instructionSet), depth \(depth)")
                #expect(packed.buffer.isIntact)
            }
        }
    }

    @Test func packRowsLaysOutTilesZeroRowsAndTails() throws {
        try eachTable { table in
            let (kernels, tileRows) = (table.bfloat16, table.bfloat16.tileRows)
            for (rows, depth) in [(1, 1), (tileRows, 67), (tileRows + 1, 33), (2 * tileRows + 5, 64)] {
                let a = randomFloats(rows * depth + 5, seed: 3)
                var offsets = (0..<rows).map { 5 + $0 * depth }
                offsets[rows / 2] = -1
                let expected = Reference.packRowPairs(
                    a, offsets: offsets, depth: depth, tileRows: tileRows, depthBlock: kernels.depthBlock)
                let packed = Words(expected.count, misalignment: 1)
                kernels.packRows(a, offsets, rows, depth, packed.pointer, kernels.pairs(depth) * tileRows)
                expectSame(packed.array, expected, "\(table.instructionSet) \(rows)×\(depth)")
                #expect(packed.buffer.isIntact)
            }
        }
    }

    @Test func packPanelPairsRowsAndFillsAnOddOne() throws {
        try eachTable { table in
            let width = table.gemm.panelWidth
            for depth in [1, 2, 5, 16, 33] {
                let source = Array(Self.hardNumbers.prefix(depth * width))
                let expected = Reference.packPairs(
                    source, depth: depth, width: width, depthBlock: table.bfloat16.depthBlock)
                let packed = Words(expected.count, misalignment: 1)
                table.bfloat16.packPanel(source, depth, packed.pointer)
                expectSame(packed.array, expected, "\(table.instructionSet), depth \(depth)")
                #expect(packed.buffer.isIntact)
            }
        }
    }

    @Test func transposePanelPairsTheOtherAxis() throws {
        try eachTable { table in
            let width = table.gemm.panelWidth
            for rows in [1, 2, width / 2 + 1, width] {
                let numbers = randomFloats(width * width, seed: 5)
                let source = Reference.packPairs(numbers, depth: width, width: width)
                let expected = Reference.transposePairs(source, rows: rows, panelWidth: width)
                let out = Words(width * width / 2)
                table.bfloat16.transposePanel(source, rows, out.pointer)
                expectSame(out.array, expected, "\(table.instructionSet), \(rows) rows")
                #expect(out.buffer.isIntact)
            }
        }
    }

    @Test func errorSquaresAddsUpWhatRoundingTakesAway() throws {
        try eachTable { table in
            for count in [0, 1, table.lanes, 2 * table.lanes + 1, 200] {
                let numbers = randomFloats(count, seed: 13)
                let expected = Reference.errorSquares(numbers)
                let sum = Double(table.bfloat16.errorSquares(numbers, count))
                #expect(abs(sum - expected) <= 1e-5 * expected, "\(table.instructionSet), \(count)")
            }
        }
    }

    @Test func multiplyMatchesTheSumForEveryRemainder() throws {
        try eachTable { table in
            let (gemm, kernels) = (table.gemm, table.bfloat16)
            kernels.beginProducts()
            defer { kernels.endProducts() }
            for rows in 1...2 * kernels.tileRows + 1 {
                for columns in [1, gemm.panelWidth / 2, gemm.panelWidth / 2 + 1, gemm.panelWidth] {
                    let (depth, stride) = (1 + rows * 11 % 75, columns + 3)
                    let packed = Reference.packRowPairs(
                        randomFloats(rows * depth, seed: UInt64(rows)), offsets: (0..<rows).map { $0 * depth },
                        depth: depth, tileRows: kernels.tileRows, depthBlock: kernels.depthBlock)
                    let panel = Reference.packPairs(
                        randomFloats(depth * gemm.panelWidth, seed: UInt64(columns)), depth: depth,
                        width: gemm.panelWidth, depthBlock: kernels.depthBlock)
                    let expected = Reference.multiplyPairs(
                        packed, tileRows: kernels.tileRows, depthBlock: kernels.depthBlock, rows: rows, panel: panel,
                        panelWidth: gemm.panelWidth, columns: columns)
                    let start = randomFloats((rows - 1) * stride + columns, seed: 9)
                    for accumulate in [false, true] {
                        let c = accumulate ? GuardedBuffer(start) : GuardedBuffer(start.count, misalignment: 1)
                        kernels.multiply(
                            packed, rows, kernels.pairs(depth), panel, columns, c.pointer, stride, accumulate)
                        let result = c.array
                        for (index, sum) in expected.enumerated() {
                            let at = index / columns * stride + index % columns
                            let error = Double(result[at]) - sum - (accumulate ? Double(start[at]) : 0)
                            // depth + 1 roundings of values up to depth + 1, in float32 whatever the operands.
                            #expect(
                                abs(error) < 1e-7 * Double((depth + 1) * (depth + 1)), "\(table.instructionSet), \(rows)")
                        }
                        let between = result.enumerated().filter { $0.offset % stride >= columns }
                        let isUntouched = between.allSatisfy { i, x in accumulate ? x == start[i] : x.isNaN }
                        #expect(isUntouched && c.isIntact, "\(table.instructionSet) \(rows)×\(columns) wrote outside")
                    }
                }
            }
        }
    }

    /// Builds without the instructions round the operands alike; only the sum's own roundings may differ.
    @Test func everyBuildGivesTheSameProductUpToTheRoundingOfFloat32() throws {
        let (rows, depth, columns) = (13, 300, 8)
        let a = randomFloats(rows * depth, seed: 1), b = randomFloats(depth * columns, seed: 2)
        let roundedA = a.map { Double(Reference.bfloat16($0)) }
        let roundedB = b.map { Double(Reference.bfloat16($0)) }
        let expected = (0..<rows * columns).map { at in
            (0..<depth).reduce(0.0) { $0 + roundedA[at / columns * depth + $1] * roundedB[$1 * columns + at % columns] }
        }
        try eachTable { table in
            let (kernels, tileRows, width) = (table.bfloat16, table.bfloat16.tileRows, table.gemm.panelWidth)
            let pairs = kernels.pairs(depth)
            var wide = [Float](repeating: 0, count: depth * width)
            for i in b.indices { wide[i / columns * width + i % columns] = b[i] }
            let panel = Words(pairs * width), packed = Words((rows + tileRows - 1) / tileRows * tileRows * pairs)
            kernels.packPanel(wide, depth, panel.pointer)
            kernels.packRows(
                a, (0..<rows).map { $0 * depth }, rows, depth, packed.pointer, pairs * tileRows)
            let c = GuardedBuffer(rows * columns)
            kernels.beginProducts()
            kernels.multiply(packed.pointer, rows, pairs, panel.pointer, columns, c.pointer, columns, false)
            kernels.endProducts()
            expectClose(c.array, expected, tolerance: 1e-6, table.instructionSet)
        }
    }
}
