import KernelInterface
import TestSupport
import Testing

/// Kernels whose contract lets an output be one of their inputs give the same bits there as elsewhere.
@Suite struct InPlaceTests {
    /// Calls a kernel with three operands and where to write; the operands it does not read stay as they are.
    private typealias Kernel = (_ operands: [UnsafeMutablePointer<Float>], _ out: UnsafeMutablePointer<Float>) -> Void

    /// - Parameter targets: which operands the result may replace.
    private func check(_ name: String, count: Int, targets: [Int], _ kernel: Kernel) {
        func operands() -> [GuardedBuffer] {
            (0..<3).map { GuardedBuffer(randomFloats(count, seed: UInt64($0 + 1), scale: 2), misalignment: $0) }
        }
        let inputs = operands()
        let out = GuardedBuffer(count, misalignment: 1)
        kernel(inputs.map(\.pointer), out.pointer)
        for target in targets {
            let buffers = operands()
            kernel(buffers.map(\.pointer), buffers[target].pointer)
            expectIdentical(buffers[target].array, out.array, "\(name), \(count), into operand \(target)")
            #expect(buffers.allSatisfy { $0.isIntact }, "\(name) wrote outside")
        }
        #expect(out.isIntact && inputs.allSatisfy(\.isIntact), "\(name) wrote outside")
    }

    @Test func elementwiseKernels() throws {
        try eachTable { table in
            let kernels = table.elementwise
            for count in [1, table.lanes, 3 * table.lanes + 1] {
                for (name, kernel) in [("silu", kernels.silu), ("gelu", kernels.geluErf), ("quick", kernels.geluQuick)] {
                    check(name, count: count, targets: [0]) { kernel($0[0], $1, count) }
                }
                check("scale", count: count, targets: [0]) { kernels.scale(0.3, $0[0], $1, count) }
                for (name, kernel) in [
                    ("add", kernels.add), ("silu backward", kernels.siluBackward),
                    ("gelu backward", kernels.geluErfBackward), ("quick backward", kernels.geluQuickBackward),
                ] {
                    check(name, count: count, targets: [0, 1]) { kernel($0[0], $0[1], $1, count) }
                }
            }
        }
    }

    @Test func normKernels() throws {
        try eachTable { table in
            let norm = table.norm
            for (rows, channels) in [(1, 1), (3, table.lanes), (5, 2 * table.lanes + 3)] {
                let count = rows * channels
                let coefficients = randomFloats(6 * channels, seed: 9)
                let (weight, bias) = (randomFloats(channels, seed: 7), randomFloats(channels, seed: 8))
                for kernel in [norm.groupNormalize, norm.groupNormalizeSilu] {
                    check("normalize", count: count, targets: [0]) {
                        kernel($0[0], rows, channels, coefficients, $1)
                    }
                }
                for kernel in [norm.groupBackward, norm.groupBackwardSilu] {
                    check("group backward", count: count, targets: [0, 1, 2]) {
                        kernel($0[0], $0[1], rows, channels, coefficients, $0[2], $1)
                    }
                }
                var saved = [Float](repeating: 0, count: 2 * rows)
                check("layer", count: count, targets: [0]) {
                    norm.layer($0[0], rows, channels, weight, bias, 0.1, $1, &saved)
                }
                check("layer backward", count: count, targets: [0, 1, 2]) {
                    norm.layerBackward($0[0], $0[1], rows, channels, weight, saved, $0[2], $1)
                }
            }
        }
    }
}
