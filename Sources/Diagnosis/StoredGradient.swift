import Benchmarking
import Experiments
import Files
import Ops
import Tensors
import Visualization

/// A gradient and a prediction of the embedded model that PyTorch computed (`tools/make-doctor-gradient`), beside this
/// program's own: text encoder, U-Net forward to a layer and backward, U-Net whole.
package struct StoredGradient {
    private let latent, gradient, prediction: Tensor

    /// - Throws: a `Failure` if the file is not beside the program or damaged.
    init() throws {
        let path = try ResourceFile.path("gradient.safetensors", module: "Diagnosis", what: "the stored gradient")
        latent = try TensorFile.latent(path, channels: 4)
        gradient = try TensorFile.read(path, name: "gradient")
        prediction = try TensorFile.read(path, name: "eps")
    }

    /// How far one engine is from it.
    package struct Result: Sendable {
        let instructionSet: String
        let precision: Precision
        /// ‖error‖/‖expected‖ of the gradient at the latent.
        let gradientError: Double
        /// Of the angle between both gradients.
        let cosine: Double
        /// ‖error‖/‖expected‖ of the predicted noise.
        let predictionError: Double
        /// Whether two thread counts gave the same bytes.
        let repeats: Bool
        /// Of the second pass, forward and backward.
        let seconds: Double

        /// A float32 result differs by the order of sums; bfloat16 rounds operands of 8 bits through some forty layers.
        var bound: Double { precision == .float32 ? 1e-4 : 5e-2 }
        var isRight: Bool { gradientError <= bound && predictionError <= bound && repeats }
    }

    /// - Throws: a `Failure` if the embedded model is not beside the program.
    func result(instructionSet: String, precision: Precision, threads: Int) throws -> Result {
        func pass(_ threads: Int) throws -> (result: Probe.Result, seconds: Double) {
            let session = try ModelSession(
                ModelReference(EmbeddedModel.name),
                engine: Engine(instructionSet: instructionSet, threads: threads, precision: precision))
            var probe = Probe(layer: EmbeddedModel.layer, timestep: 301, latents: latent)
            (probe.readout, probe.wantsGradient, probe.wantsPrediction) = (.channel(3), true, true)
            var result = try probe.run(session)
            let seconds = try Timing.time { result = try probe.run(session) }
            return (result, seconds)
        }
        let (first, second) = (try pass(threads), try pass(threads + 1))
        let values = [first, second].map { ($0.result.gradient?.array ?? [], $0.result.prediction?.array ?? []) }
        return Result(
            instructionSet: instructionSet, precision: precision,
            gradientError: relativeError(values[0].0, gradient.doubles), cosine: cosine(values[0].0),
            predictionError: relativeError(values[0].1, prediction.doubles),
            repeats: values[0] == values[1], seconds: first.seconds)
    }

    private func cosine(_ values: [Float]) -> Double {
        func sum(_ a: [Double], _ b: [Double]) -> Double { zip(a, b).reduce(0.0) { $0 + $1.0 * $1.1 } }
        let own = values.map(Double.init), expected = gradient.doubles
        return sum(own, expected) / (sum(own, own) * sum(expected, expected)).squareRoot()
    }
}
