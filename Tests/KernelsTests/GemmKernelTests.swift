import KernelInterface
import Ops
#if arch(x86_64)
import KernelsAMXModel
#endif
import ReferenceKernels
import TestSupport
import Testing

/// Every build of the kernels that this CPU can run, or in their place those of another CPU (`KernelServer`).
func eachTable(_ body: (KernelTable) throws -> Void) throws {
    if let server = KernelServer.shared { return try body(RemoteTable(server).table) }
    for name in InstructionSet.supported { try body(InstructionSet.kernels(named: name)) }
    #if arch(x86_64)
    try body(KernelsAMXModel.makeKernelTable())
    #endif
}

@Suite struct GemmKernelTests {
    /// Dense rows of `depth` floats as the twin packs them.
    private func packedTiles(_ a: [Float], rows: Int, depth: Int, tileRows: Int) -> [Float] {
        Reference.packRows(a, offsets: (0..<rows).map { $0 * depth }, depth: depth, tileRows: tileRows)
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
                    let packed = packedTiles(a, rows: rows, depth: depth, tileRows: gemm.tileRows)
                    let expected = Reference.multiply(
                        packed.doubles, tileRows: gemm.tileRows, rows: rows, depth: depth, panel: panel.doubles,
                        columns: columns)
                    for accumulate in [false, true] {
                        let c = accumulate ? GuardedBuffer(start) : GuardedBuffer(start.count, misalignment: 1)
                        gemm.multiply(packed, rows, depth, panel, columns, c.pointer, stride, accumulate)
                        let result = c.array
                        for row in 0..<rows {
                            for column in 0..<columns {
                                let before = accumulate ? Double(start[row * stride + column]) : 0
                                let error = Double(result[row * stride + column]) - expected[row * columns + column]
                                    - before
                                // depth + 1 roundings of values up to depth + 1.
                                #expect(abs(error) < 1e-7 * Double((depth + 1) * (depth + 1)))
                            }
                        }
                        let between = result.enumerated().filter { $0.offset % stride >= columns }
                        let isUntouched = between.allSatisfy { i, x in accumulate ? x == start[i] : x.isNaN }
                        #expect(isUntouched && c.isIntact, "\(table.instructionSet) \(rows)×\(columns) wrote outside")
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
                let expected = Reference.packRows(a, offsets: offsets, depth: depth, tileRows: gemm.tileRows)
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

    @Test func prefetchTakesAnyAddress() throws {
        try eachTable { table in
            for address in [1, 4096, Int.max] { table.gemm.prefetch(UnsafeRawPointer(bitPattern: address)!, 1000) }
            let memory = GuardedBuffer(1000)
            table.gemm.prefetch(memory.pointer, 4000)
            #expect(memory.isIntact && memory.array.allSatisfy(\.isNaN))
        }
    }

    @Test func widenIsExactForEveryHalf() throws {
        let halves = (0...UInt16.max).map { $0 }
        try eachTable { table in
            let wide = GuardedBuffer(halves.count)
            table.gemm.widen(halves, halves.count, wide.pointer)
            let twin: [Float] = Reference.widen(halves)
            for ((half, expected), value) in zip(zip(halves, twin), wide.array) {
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
                let expected = Reference.transposePanel(source, rows: rows, panelWidth: width)
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
                let bias = randomFloats(columns, seed: 7), secondBias = randomFloats(columns, seed: 9)
                let other = randomFloats((rows - 1) * stride + columns, seed: 8)
                let denseOther = (0..<rows * columns).map { other[$0 / columns * stride + $0 % columns] }
                for addends in 0..<8 {
                    let (first, second, third) = (addends & 1 == 1, addends & 2 == 2, addends & 4 == 4)
                    let y = GuardedBuffer(other.count, misalignment: 1)
                    withPointers(bias, secondBias, other) { bias, secondBias, other in
                        table.gemm.writeRows(
                            sums, panelStride, rows, columns, first ? bias : nil, second ? secondBias : nil,
                            third ? other : nil, y.pointer, stride)
                    }
                    let expected = Reference.writeRows(
                        sums, panelStride: panelStride, panelWidth: width, rows: rows, columns: columns,
                        bias: first ? bias : nil, secondBias: second ? secondBias : nil,
                        other: third ? denseOther : nil)
                    let values = y.array
                    let name = "\(table.instructionSet) \(columns), addends \(addends)"
                    expectIdentical(
                        (0..<rows * columns).map { values[$0 / columns * stride + $0 % columns] }, expected, name)
                    let between = values.enumerated().filter { $0.offset % stride >= columns }
                    #expect(between.allSatisfy(\.element.isNaN) && y.isIntact, "\(name) wrote outside")
                }
            }
        }
    }

    private func withPointers(
        _ a: [Float], _ b: [Float], _ c: [Float],
        _ body: (UnsafePointer<Float>?, UnsafePointer<Float>?, UnsafePointer<Float>?) -> Void
    ) {
        a.withUnsafeBufferPointer { a in
            b.withUnsafeBufferPointer { b in
                c.withUnsafeBufferPointer { c in body(a.baseAddress, b.baseAddress, c.baseAddress) }
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
            let projected = Reference.writeGated(
                sums, panelStride: panelStride, panelWidth: width, rows: rows, columns: columns, bias: bias,
                gateBias: gateBias
            ).projected
            var expected = [Float](repeating: 0, count: rows * columns)
            table.elementwise.geglu(projected, &expected, rows, columns)
            let twin = Reference.writeGated(
                sums.doubles, panelStride: panelStride, panelWidth: width, rows: rows, columns: columns,
                bias: bias.doubles, gateBias: gateBias.doubles
            ).y
            expectEachClose(expected, twin, absolute: 3e-6, table.instructionSet)
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
