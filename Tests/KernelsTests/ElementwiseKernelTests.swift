import KernelInterface
import ReferenceKernels
import Testing
import TestSupport

@Suite struct ElementwiseKernelTests {
    /// A kernel of two operands (a unary one ignores the first) and its twin in double precision.
    private struct Case {
        let name: String
        let kernel: ElementwiseKernels.Binary
        let twin: (_ a: [Double], _ b: [Double]) -> [Double]
        /// Error bound of one element: absolute, and relative to the expected value.
        var absolute = 0.0
        var relative = 0.0
    }

    /// Bounds: the contracts', with an ulp of at most 1.2e-7 relative. GELU's is 1.2e-7·|x|, absolute where the tail
    /// cancels (|x| < 6); quick GELU's argument is rounded, which the exponential multiplies by it; derivatives are
    /// sums of values of about 1 that cancel near their zeros.
    private func cases(_ kernels: ElementwiseKernels) -> [Case] {
        func unary(_ kernel: @escaping ElementwiseKernels.Unary) -> ElementwiseKernels.Binary {
            { _, x, y, count in kernel(x, y, count) }
        }
        return [
            Case(name: "add", kernel: kernels.add, twin: { Reference.add($0, $1) }, relative: 6.1e-8),
            Case(
                name: "scale", kernel: unary { x, y, count in kernels.scale(-0.3, x, y, count) },
                twin: { Reference.scale(Double(Float(-0.3)), $1) }, relative: 6.1e-8),
            Case(name: "silu", kernel: unary(kernels.silu), twin: { Reference.silu($1) }, relative: 6 * 1.2e-7),
            Case(
                name: "siluBackward", kernel: kernels.siluBackward, twin: { Reference.siluBackward($0, $1) },
                absolute: 1e-6),
            Case(
                name: "geluErf", kernel: unary(kernels.geluErf), twin: { Reference.geluErf($1) }, absolute: 8e-7,
                relative: 2e-7),
            Case(
                name: "geluErfBackward", kernel: kernels.geluErfBackward, twin: { Reference.geluErfBackward($0, $1) },
                absolute: 1e-6),
            Case(
                name: "geluQuick", kernel: unary(kernels.geluQuick), twin: { Reference.geluQuick($1) },
                absolute: 5e-7, relative: 6e-7),
            Case(
                name: "geluQuickBackward", kernel: kernels.geluQuickBackward,
                twin: { Reference.geluQuickBackward($0, $1) }, absolute: 1e-6),
        ]
    }

    @Test func everyCountAndAlignmentAgreesWithTheTwin() throws {
        try eachTable { table in
            for test in cases(table.elementwise) {
                for count in 0...2 * table.lanes + 1 {
                    for misalignment in [0, 1, 3] {
                        let a = GuardedBuffer(randomFloats(count, seed: 1), misalignment: misalignment)
                        let b = GuardedBuffer(randomFloats(count, seed: 2, scale: 4), misalignment: 3 - misalignment)
                        let y = GuardedBuffer(count, misalignment: misalignment)
                        test.kernel(a.pointer, b.pointer, y.pointer, count)
                        let name = "\(test.name) of \(count), \(table.instructionSet)"
                        expectEachClose(
                            y.array, test.twin(a.array.doubles, b.array.doubles), absolute: test.absolute,
                            relative: test.relative, name)
                        #expect(y.isIntact && a.isIntact && b.isIntact, "\(name) wrote outside")
                    }
                }
            }
        }
    }

    /// Nothing overflows on the way: from where results are subnormal to where they are x itself.
    @Test func boundsHoldFromMinus87To87() throws {
        let x = (-8699...8699).map { Float($0) / 100 }
        let ones = [Float](repeating: 1, count: x.count)
        try eachTable { table in
            for test in cases(table.elementwise) {
                let y = GuardedBuffer(x.count)
                test.kernel(ones, x, y.pointer, x.count)
                expectEachClose(
                    y.array, test.twin(ones.doubles, x.doubles), absolute: test.absolute, relative: test.relative,
                    "\(test.name), \(table.instructionSet)")
            }
        }
    }

    @Test func extremesStayFiniteAndNaNStaysNaN() throws {
        let x: [Float] = [-1e30, -1e4, -200, 200, 1e4, 1e30, .nan]
        let ones = [Float](repeating: 1, count: x.count)
        try eachTable { table in
            for test in cases(table.elementwise) where test.name != "add" && test.name != "scale" {
                let y = GuardedBuffer(x.count)
                test.kernel(ones, x, y.pointer, x.count)
                let values = y.array
                let limits: [Float] = test.name.hasSuffix("Backward") ? [0, 0, 0, 1, 1, 1] : [0, 0, 0, 200, 1e4, 1e30]
                for (value, limit) in zip(values, limits) {
                    #expect(abs(value - limit) <= 1e-6 * limit + 1e-6, "\(test.name): \(values)")
                }
                #expect(values[6].isNaN, "\(test.name), \(table.instructionSet)")
            }
        }
    }

    @Test func gatedRowsAgreeWithTheTwinForEveryWidth() throws {
        try eachTable { table in
            for width in 1...2 * table.lanes + 1 {
                let x = GuardedBuffer(randomFloats(3 * 2 * width, seed: 4, scale: 3), misalignment: width % 4)
                let dy = GuardedBuffer(randomFloats(3 * width, seed: 5), misalignment: 1)
                let (y, dx) = (GuardedBuffer(3 * width, misalignment: 2), GuardedBuffer(6 * width))
                table.elementwise.geglu(x.pointer, y.pointer, 3, width)
                table.elementwise.gegluBackward(dy.pointer, x.pointer, dx.pointer, 3, width)
                let name = "width \(width), \(table.instructionSet)"
                expectEachClose(y.array, Reference.geglu(x.array.doubles, width: width), absolute: 3e-6, name)
                expectEachClose(
                    dx.array, Reference.gegluBackward(dy.array.doubles, x.array.doubles, width: width),
                    absolute: 3e-6, name)
                #expect(y.isIntact && dx.isIntact, "\(name) wrote outside")
                table.elementwise.gegluBackward(dy.pointer, x.pointer, x.pointer, 3, width)
                expectIdentical(x.array, dx.array, "in place, \(name)")
            }
        }
    }
}
