import Experiments
import Foundation
#if arch(x86_64)
import KernelsAMXModel
#endif
import Ops
import StableDiffusion
import TestSupport
import Tensors
import Testing
import Visualization

/// The embedded model in bfloat16, beside float32. The baseline's kernels compute it on every CPU.
@Suite struct PrecisionTests {
    private func session(_ precision: Precision) throws -> ModelSession {
        try ModelSession(
            ModelReference(EmbeddedModel.name, autoencoders: EmbeddedModel.name),
            engine: Engine(instructionSet: "baseline", threads: 2, precision: precision))
    }

    private func probe(_ session: ModelSession) throws -> Probe.Result {
        var probe = Probe(layer: EmbeddedModel.layer, timestep: 301, latents: try Probe.noise(seeds: [1], of: session))
        probe.text.prompt = "a red star"
        probe.readout = .channel(3)
        (probe.wantsGradient, probe.wantsPrediction) = (true, true)
        return try probe.run(session)
    }

    /// Each of some thirty layers rounds its operands to 8 bits, 1.7e-3 apart on average.
    @Test func outputsAndGradientsAreThoseOfFloat32ToAPercent() throws {
        let exact = try probe(session(.float32)), rounded = try probe(session(.bfloat16))
        for (name, a, b, bound) in [
            ("activations", rounded.activations, exact.activations, 1e-2),
            ("prediction", rounded.prediction, exact.prediction, 1e-2),
            ("gradient", rounded.gradient, exact.gradient, 3e-2),
        ] {
            let (a, b) = (try #require(a).array, try #require(b).array)
            expectClose(a, b, tolerance: bound, name)
            #expect(a != b, "\(name): nothing was rounded")
        }
    }

    /// On every instruction set, and on a model of the one with tiles.
    @Test func picturesOfADecoderInBFloat16AreThoseOfFloat32() throws {
        let latents = try Probe.noise(seeds: [1, 2], of: session(.float32))
        func decode(_ engine: Engine) throws -> [Float] {
            try ModelFolder(EmbeddedModel.model()).loadVAEDecoder(engine: engine).decode(latents).array
        }
        var engines = try InstructionSet.supported.map { try Engine(instructionSet: $0, threads: 2, precision: .bfloat16) }
        #if arch(x86_64)
        engines.append(Engine(kernels: KernelsAMXModel.makeKernelTable(), threads: 2, precision: .bfloat16))
        #endif
        for engine in engines {
            let (exact, rounded) = (try decode(engine.inFloat32), try decode(engine))
            let square = zip(exact, rounded).map { Double($0 - $1) * Double($0 - $1) }.reduce(0, +) / Double(exact.count)
            #expect(square > 0, "\(engine.kernels.instructionSet)")
            // Of a range of −1…1.
            #expect(10 * log10(4 / square) > 50, "\(engine.kernels.instructionSet)")
        }
    }

    @Test func whatWasComputedInBFloat16SaysSo() throws {
        let (exact, rounded) = (try session(.float32), try session(.bfloat16))
        #expect(try rounded.identity().changes(from: exact.identity()) == ["precision"])
        var settings = DreamSettings(.raw)
        settings.steps = 1
        let request = DreamRequest(
            layer: EmbeddedModel.layer, objectives: [.channel(3)], timesteps: [301], seeds: [7], settings: settings)
        let (one, other) = (
            try DreamExperiment(request, session: exact), try DreamExperiment(request, session: rounded)
        )
        let item = one.batches[0][0]
        #expect(one.description(item)["precision"] == nil && !one.command([item]).contains("--precision"))
        #expect(other.description(item)["precision"] == "bf16")
        #expect(other.command([item]).contains("--precision bf16 --layer"))
    }
}
