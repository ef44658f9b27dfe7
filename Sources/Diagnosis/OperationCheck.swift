import Benchmarking
import Ops
import ReferenceKernels
import Tensors

/// One operation beside its slow twin in double precision, on numbers that bfloat16 holds exactly: a product of such numbers
/// is the same in both precisions, up to the roundings of its sum.
package struct OperationCheck {
    /// In words, with its sizes where they matter.
    package let name: String
    /// Largest ‖error‖/‖expected‖ that rounding explains, for each precision that has the operation.
    let bounds: [Precision: Double]
    /// What the twin gives.
    package let expected: [Double]
    /// What the engine gives, in the same order.
    let run: (Engine) -> [Float]

    /// - Parameter bounds: in float32 some units of 6e-8 times the root of the terms in a sum.
    package init(
        _ name: String, bounds: [Precision: Double], expected: [Double], run: @escaping (Engine) -> [Float]
    ) {
        (self.name, self.bounds) = (name, bounds)
        (self.expected, self.run) = (expected, run)
    }

    /// An operation whose operands are not rounded on the way: one bound for every precision.
    package init(_ name: String, bound: Double, expected: [Double], run: @escaping (Engine) -> [Float]) {
        self.init(name, bounds: [.float32: bound, .bfloat16: bound], expected: expected, run: run)
    }

    /// Runs it on an engine.
    package func result(_ engine: Engine) -> Result {
        Result(
            instructionSet: engine.kernels.instructionSet, precision: engine.precision, name: name,
            error: relativeError(run(engine), expected), bound: bounds[engine.precision] ?? 0)
    }

    /// How far one operation was from its twin.
    package struct Result: Sendable {
        package let instructionSet: String
        package let precision: Precision
        package let name: String
        /// ‖error‖/‖expected‖; infinite where a number is NaN or missing.
        package let error: Double
        let bound: Double

        package var isRight: Bool { error <= bound }
    }

    /// All that a precision has: layers forward and backward, and the sparse rows of an autoencoder.
    package static func all(in precision: Precision) -> [OperationCheck] {
        (products() + attention() + rows() + activations() + sparse()).filter { $0.bounds[precision] != nil }
    }

    /// Reproducible numbers of up to `scale` that bfloat16 holds.
    static func numbers(_ shape: [Int], seed: UInt64, scale: Float = 1) -> Tensor {
        let tensor = Tensor.filled(shape, scale: scale, seed: seed)
        for i in 0..<tensor.count { tensor.pointer[i] = Reference.bfloat16(tensor.pointer[i]) }
        return tensor
    }

    static func weight(_ shape: [Int], seed: UInt64, scale: Float = 1) -> Weight {
        Weight(name: "checked", tensor: numbers(shape, seed: seed, scale: scale))
    }
}

extension Tensor {
    var doubles: [Double] { array.map(Double.init) }
}

extension Weight {
    var doubles: [Double] { floats().map(Double.init) }
}

/// ‖value − expected‖/‖expected‖; infinite where a number is NaN or one is missing.
func relativeError(_ values: [Float], _ expected: [Double]) -> Double {
    guard values.count == expected.count else { return .infinity }
    let error = zip(values, expected).reduce(0.0) { $0 + (Double($1.0) - $1.1) * (Double($1.0) - $1.1) }
    let ratio = (error / expected.reduce(0.0) { $0 + $1 * $1 }).squareRoot()
    return ratio.isNaN ? .infinity : ratio
}
