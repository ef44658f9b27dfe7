import KernelInterface
import ReferenceKernels
import TestSupport
import Testing

@Suite struct WinogradKernelTests {
    private static let schemes: [ReferenceWinograd] = [.two, .four]

    private func kernels(_ table: KernelTable, _ scheme: ReferenceWinograd) -> WinogradKernels {
        scheme.outputSize == 2 ? table.winograd2 : table.winograd4
    }

    /// Coefficients of up to 8, 5, 2 and sums of up to 36 terms: a few ulp of values that are larger than the result.
    private static let tolerance = 2e-6

    /// Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A is the 3×3 correlation of d with g: what the twins are twins of.
    @Test(arguments: ["two", "four", "unit"]) func theTwinsTogetherAreAConvolution(_ name: String) throws {
        let schemes: [String: ReferenceWinograd] = ["two": .two, "four": .four, "unit": .unit]
        let scheme = try #require(schemes[name])
        let side = scheme.points
        let (d, g) = (randomFloats(side * side, seed: 1).doubles, randomFloats(9, seed: 2).doubles)
        let y = scheme.output(zip(scheme.filter(g), scheme.input(d)).map { $0 * $1 })
        let expected = Reference.convolution(
            d, weight: g, bias: nil,
            ReferenceConvolution(
                batch: 1, height: side, width: side, inputs: 1, outputs: 1, size: 3, stride: 1, before: 0, after: 0))
        expectClose(y, expected, tolerance: 1e-14)
    }

    @Test func filtersAgreeWithTheTwin() throws {
        try eachTable { table in
            for scheme in Self.schemes {
                let (kernels, width) = (kernels(table, scheme), table.gemm.panelWidth)
                for depth in [1, 2, 5] {
                    let count = depth * width, tapStride = count + 4, elementStride = count + 3
                    let halves = randomFloats(8 * tapStride + count, seed: 1).map { Float16($0) }
                    let taps = GuardedBuffer(halves.map { Float($0) }, misalignment: 1)
                    func dense(_ order: [Int]) -> [Double] {
                        order.flatMap { tap in (0..<count).map { Double(halves[tap * tapStride + $0]) } }
                    }
                    func run(_ body: (UnsafeMutablePointer<Float>) -> Void, _ expected: [Double], _ what: String) {
                        let out = GuardedBuffer((kernels.elements - 1) * elementStride + count, misalignment: 1)
                        body(out.pointer)
                        let name = "\(what), F(\(scheme.outputSize)) of \(depth), \(table.instructionSet)"
                        expectStrided(out, elementStride, count, expected, Self.tolerance, name)
                    }
                    run(
                        { kernels.filter(taps.pointer, tapStride, depth, $0, elementStride) },
                        scheme.filter(dense(Array(0..<9))), "filter")
                    run(
                        { kernels.filterHalf(halves.map(\.bitPattern), tapStride, depth, $0, elementStride) },
                        scheme.filter(dense(Array(0..<9))), "half filter")
                    // From the last tap backward: the filter turned by 180°.
                    run(
                        { kernels.filter(taps.pointer + 8 * tapStride, -tapStride, depth, $0, elementStride) },
                        scheme.filter(dense((0..<9).reversed())), "turned filter")
                }
            }
        }
    }

    @Test func inputAgreesWithTheTwinForEveryNumberOfTiles() throws {
        try eachTable { table in
            for scheme in Self.schemes {
                let (kernels, tileRows) = (kernels(table, scheme), table.gemm.tileRows)
                for tiles in 1...tileRows {
                    let depth = table.lanes * (1 + tiles % 3), elements = kernels.elements
                    let x = GuardedBuffer(randomFloats(50 * depth, seed: UInt64(tiles)), misalignment: 1)
                    // Pixels anywhere, every seventh of them padding.
                    let offsets = (0..<tiles * elements).map { $0 % 7 == 3 ? -1 : $0 * 31 % 50 * depth }
                    let scratch = GuardedBuffer((tileRows + 1) * elements * table.lanes)
                    let elementStride = depth * tileRows + 5
                    let out = GuardedBuffer((elements - 1) * elementStride + depth * tileRows, misalignment: 1)
                    kernels.input(x.pointer, offsets, tiles, depth, scratch.pointer, out.pointer, elementStride)
                    let values = x.array
                    // [element][k][tile]; tiles that are not there are zeros.
                    let pixels = (0..<elements).flatMap { element in
                        (0..<depth * tileRows).map { index -> Double in
                            let (k, tile) = (index / tileRows, index % tileRows)
                            let offset = tile < tiles ? offsets[tile * elements + element] : -1
                            return offset >= 0 ? Double(values[offset + k]) : 0
                        }
                    }
                    let name = "F(\(scheme.outputSize)) of \(tiles) tiles, \(table.instructionSet)"
                    expectStrided(
                        out, elementStride, depth * tileRows, scheme.input(pixels), Self.tolerance, name)
                    #expect(scratch.isIntact, "\(name): scratch is too small")
                }
            }
        }
    }

    @Test func outputAgreesWithTheTwinWithAndWithoutAddends() throws {
        try eachTable { table in
            for scheme in Self.schemes {
                let (kernels, size) = (kernels(table, scheme), scheme.outputSize)
                for columns in [table.lanes, 3 * table.lanes] {
                    let elementStride = columns + 3, pixels = size * size
                    let products = GuardedBuffer(
                        randomFloats((kernels.elements - 1) * elementStride + columns, seed: 1), misalignment: 1)
                    let pixelStride = columns + 5
                    // In reverse order; one pixel lies outside the map.
                    let offsets = (0..<pixels).map { $0 == 1 ? -1 : (pixels - 1 - $0) * pixelStride }
                    let (bias, sampleBias) = (randomFloats(columns, seed: 2), randomFloats(columns, seed: 3))
                    let residual = GuardedBuffer(randomFloats(pixels * pixelStride, seed: 4), misalignment: 2)
                    let values = products.array
                    let transformed = scheme.output(
                        (0..<kernels.elements * columns).map {
                            Double(values[$0 / columns * elementStride + $0 % columns])
                        })
                    for addends in 0..<8 {
                        let (first, second, third) = (addends & 1 == 1, addends & 2 == 2, addends & 4 == 4)
                        let y = GuardedBuffer(pixels * pixelStride, misalignment: 1)
                        bias.withUnsafeBufferPointer { bias in
                            sampleBias.withUnsafeBufferPointer { sampleBias in
                                kernels.output(
                                    products.pointer, elementStride, columns, y.pointer, offsets,
                                    first ? bias.baseAddress : nil, second ? sampleBias.baseAddress : nil,
                                    third ? UnsafePointer(residual.pointer) : nil)
                            }
                        }
                        let (written, added) = (y.array, residual.array)
                        let name = "F(\(size)) of \(columns), addends \(addends), \(table.instructionSet)"
                        for pixel in 0..<pixels where offsets[pixel] >= 0 {
                            let expected = (0..<columns).map { column in
                                transformed[pixel * columns + column] + (first ? Double(bias[column]) : 0)
                                    + (second ? Double(sampleBias[column]) : 0)
                                    + (third ? Double(added[offsets[pixel] + column]) : 0)
                            }
                            expectEachClose(
                                Array(written[offsets[pixel]..<offsets[pixel] + columns]), expected, absolute: 1e-4,
                                relative: 1e-6, name)
                        }
                        let untouched = written.enumerated().filter { index, _ in
                            !offsets.contains { $0 >= 0 && ($0..<$0 + columns).contains(index) }
                        }
                        #expect(untouched.allSatisfy { $0.element.isNaN }, "\(name) wrote between pixels")
                        #expect(y.isIntact && products.isIntact, "\(name) wrote outside")
                    }
                }
            }
        }
    }

    /// Runs of `count` floats, `stride` apart, against dense expected values; nothing between them was written.
    private func expectStrided(
        _ buffer: GuardedBuffer, _ stride: Int, _ count: Int, _ expected: [Double], _ tolerance: Double, _ name: String
    ) {
        let values = buffer.array
        let dense = values.enumerated().filter { $0.offset % stride < count }.map(\.element)
        expectClose(dense, expected, tolerance: tolerance, name)
        let between = values.enumerated().filter { $0.offset % stride >= count }
        #expect(between.allSatisfy(\.element.isNaN) && buffer.isIntact, "\(name) wrote outside")
    }
}
