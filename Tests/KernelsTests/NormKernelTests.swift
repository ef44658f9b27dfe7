import KernelInterface
import ReferenceKernels
import Testing
import TestSupport

@Suite struct NormKernelTests {
    /// Channels and groups: multiples of no vector, of one, of all; groups narrower and wider than a vector.
    private static let widths = [(1, 1), (6, 3), (15, 5), (16, 4), (24, 2), (33, 3), (40, 8), (68, 4)]

    /// Sums of up to 13·34 values in float32, and differences that cancel a few bits.
    private static let tolerance = 3e-6

    @Test(arguments: widths)
    func groupKernelsAgreeWithTheirTwins(channels: Int, groups: Int) throws {
        try eachTable { table in
            let norm = table.norm
            for rows in [1, 2, 3, 4, 5, 8, 13] {
                let name = "\(rows)×\(channels) in \(groups), \(table.instructionSet)"
                let count = rows * channels
                let x = GuardedBuffer(randomFloats(count, seed: 1, scale: 2), misalignment: 1)
                let dy = GuardedBuffer(randomFloats(count, seed: 2), misalignment: 3)
                let base = GuardedBuffer(randomFloats(count, seed: 3), misalignment: 2)
                let coefficients = GuardedBuffer(randomFloats(6 * channels, seed: 4), misalignment: 1)
                let (xs, dys, cs) = (x.array.doubles, dy.array.doubles, coefficients.array.doubles)

                let scratch = GuardedBuffer(3 * channels)
                let result = GuardedBuffer(2 * groups, misalignment: 1)
                norm.groupStatistics(x.pointer, rows, channels, groups, scratch.pointer, result.pointer)
                let (means, deviations) = Reference.groupStatistics(xs, channels: channels, groups: groups)
                expectClose(result.array, means + deviations, tolerance: Self.tolerance, name)
                #expect(result.isIntact && scratch.isIntact, "\(name) wrote outside")

                for silu in [false, true] {
                    let y = GuardedBuffer(count, misalignment: 3)
                    let normalize = silu ? norm.groupNormalizeSilu : norm.groupNormalize
                    normalize(x.pointer, rows, channels, coefficients.pointer, y.pointer)
                    let plain = Reference.groupNormalize(xs, channels: channels, cs)
                    let expected =
                        silu ? Reference.groupNormalizeSilu(xs, channels: channels, cs) : plain
                    expectClose(y.array, expected, tolerance: Self.tolerance, name)

                    let sums = silu ? norm.groupGradientSumsSilu : norm.groupGradientSums
                    let twoRows = GuardedBuffer(2 * channels)
                    sums(
                        dy.pointer, x.pointer, rows, channels, groups, coefficients.pointer, twoRows.pointer,
                        result.pointer)
                    let (first, second) = Reference.groupGradientSums(
                        dys, xs, channels: channels, groups: groups, cs, silu: silu)
                    expectClose(result.array, first + second, tolerance: 3 * Self.tolerance, name)

                    for withBase in [false, true] {
                        let backward = silu ? norm.groupBackwardSilu : norm.groupBackward
                        let dx = GuardedBuffer(count)
                        backward(
                            dy.pointer, x.pointer, rows, channels, coefficients.pointer,
                            withBase ? UnsafePointer(base.pointer) : nil, dx.pointer)
                        let expected = Reference.groupBackward(
                            dys, xs, channels: channels, cs, base: withBase ? base.array.doubles : nil, silu: silu)
                        expectClose(dx.array, expected, tolerance: Self.tolerance, name)
                        #expect(dx.isIntact && y.isIntact && twoRows.isIntact, "\(name) wrote outside")
                    }
                }
            }
        }
    }

    /// Deviations of 1 around 10⁴, where Σx² − n·mean² would have an error of 6: every deviation is exact here, so the
    /// variance must be too, up to rounding.
    @Test func largeMeansDoNotDestroyTheVariance() throws {
        try eachTable { table in
            let (rows, channels, groups) = (96, 20, 2)
            let x = randomFloats(rows * channels, seed: 1).map { 10_000 + $0 }
            var (scratch, result) = ([Float](repeating: 0, count: 60), [Float](repeating: 0, count: 4))
            table.norm.groupStatistics(x, rows, channels, groups, &scratch, &result)
            let (means, deviations) = Reference.groupStatistics(x.doubles, channels: channels, groups: groups)
            expectEachClose(Array(result[..<2]), means, relative: 6e-8, table.instructionSet)
            expectEachClose(Array(result[2...]), deviations, relative: 1e-5, table.instructionSet)

            let ones = [Float](repeating: 1, count: channels), zeros = [Float](repeating: 0, count: channels)
            var (y, saved) = ([Float](repeating: 0, count: x.count), [Float](repeating: 0, count: 2 * rows))
            table.norm.layer(x, rows, channels, ones, zeros, 1e-5, &y, &saved)
            let expected = Reference.layer(
                x.doubles, weight: ones.doubles, bias: zeros.doubles, epsilon: Double(Float(1e-5)))
            // The mean is rounded to float32: half of 10⁴'s last bit, 5e-4, against a deviation of 0.6.
            expectEachClose(y, expected, absolute: 1e-3, table.instructionSet)
        }
    }

    @Test func layerKernelsAgreeWithTheirTwinsForEveryWidth() throws {
        try eachTable { table in
            for channels in 2...2 * table.lanes + 1 {
                let rows = 1 + channels % 3
                let name = "\(rows)×\(channels), \(table.instructionSet)"
                let x = GuardedBuffer(randomFloats(rows * channels, seed: 1, scale: 2), misalignment: 3)
                let dy = GuardedBuffer(randomFloats(rows * channels, seed: 2), misalignment: 1)
                let weight = GuardedBuffer(randomFloats(channels, seed: 3), misalignment: 2)
                let bias = GuardedBuffer(randomFloats(channels, seed: 4), misalignment: 1)
                let (y, saved) = (GuardedBuffer(rows * channels, misalignment: 1), GuardedBuffer(2 * rows))
                table.norm.layer(
                    x.pointer, rows, channels, weight.pointer, bias.pointer, 0.01, y.pointer, saved.pointer)
                let (xs, ws) = (x.array.doubles, weight.array.doubles)
                expectClose(
                    y.array, Reference.layer(xs, weight: ws, bias: bias.array.doubles, epsilon: Double(Float(0.01))),
                    tolerance: 2 * Self.tolerance, name)

                let dx = GuardedBuffer(rows * channels, misalignment: 2)
                table.norm.layerBackward(
                    dy.pointer, x.pointer, rows, channels, weight.pointer, saved.pointer, nil, dx.pointer)
                let expected = Reference.layerBackward(dy.array.doubles, xs, weight: ws, epsilon: Double(Float(0.01)))
                // Two channels: the gradient is what the normalization leaves of dy, a small difference.
                expectClose(dx.array, expected, tolerance: channels < 4 ? 1e-4 : 1e-5, name)
                #expect(y.isIntact && saved.isIntact && dx.isIntact, "\(name) wrote outside")

                let plain = dx.array
                table.norm.layerBackward(
                    dy.pointer, x.pointer, rows, channels, weight.pointer, saved.pointer, dy.pointer, dy.pointer)
                expectClose(
                    dy.array, zip(plain, randomFloats(rows * channels, seed: 2)).map { Double($0 + $1) },
                    tolerance: 1e-7, "added in place, \(name)")
            }
        }
    }
}
