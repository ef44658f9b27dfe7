import Checkpoints
import Files
import Ops
import StableDiffusion
import Tensors
import Testing

/// Two small autoencoders against diffusers: three and four levels, odd sizes.
@Suite struct VAEGoldenTests {
    /// The reference applied no scaling factor.
    private func fixture(_ name: String) throws -> (golden: ModelGolden, config: VAEConfig, weights: WeightStore) {
        let golden = try ModelGolden(name)
        let config = try VAEConfig(golden.config(["scaling_factor": 1]))
        return (golden, config, try SyntheticWeights.store(config.manifest, naming: ModelComponent.vae))
    }

    @Test(arguments: ["vae_a", "vae_b"]) func decodes(_ name: String) throws {
        let (golden, config, weights) = try fixture(name)
        let decoder = try VAEDecoder(config: config, weights: weights, engine: Engine(threads: 2))
        let picture = decoder.decode(try golden.tensor("latent"))
        #expect(relativeError(picture.channelsFirst(), try golden.tensor("decoded")) < 1e-4)
    }

    @Test(arguments: ["vae_a", "vae_b"]) func encodes(_ name: String) throws {
        let (golden, config, weights) = try fixture(name)
        let encoder = try VAEEncoder(config: config, weights: weights, engine: Engine(threads: 2))
        let latents = try encoder.encode(try golden.tensor("image").channelsLast())
        #expect(relativeError(latents.mean, try golden.tensor("mean")) < 1e-4)
        #expect(relativeError(latents.logvar, try golden.tensor("logvar")) < 1e-4)
    }

    @Test func scalingFactorIsAppliedBothWays() throws {
        let golden = try ModelGolden("vae_a")
        let config = try VAEConfig(golden.config(["scaling_factor": 0.5]))
        let weights = try SyntheticWeights.store(config.manifest, naming: ModelComponent.vae)
        let engine = try Engine(threads: 1)
        let latent = try golden.tensor("latent")
        let half = Tensor(latent.shape, latent.array.map { $0 * 0.5 })
        let picture = try VAEDecoder(config: config, weights: weights, engine: engine).decode(half)
        #expect(relativeError(picture.channelsFirst(), try golden.tensor("decoded")) < 1e-4)

        let encoder = try VAEEncoder(config: config, weights: weights, engine: engine)
        let distribution = try encoder.encode(try golden.tensor("image").channelsLast())
        let mean = distribution.latent()
        let moved = distribution.latent(noise: Tensor(mean.shape, Array(repeating: 2, count: mean.count)))
        let first = (mean: distribution.mean.array[0], deviation: distribution.logvar.array[0])
        #expect(mean.array[0] == first.mean * 0.5)
        #expect(abs(moved.array[0] - (first.mean + 2 * exponential(first.deviation / 2)) * 0.5) < 1e-5)
    }

    @Test func pictureOfAnotherMultipleIsRefused() throws {
        let (_, config, weights) = try fixture("vae_a")
        let encoder = try VAEEncoder(config: config, weights: weights, engine: Engine(threads: 1))
        #expect(throws: SimpleFailure.self) { try encoder.encode(Tensor.zeros([1, 20, 27, 3])) }
    }

    /// eˣ by its series, so that the test does not share the implementation's library call.
    private func exponential(_ x: Float) -> Float {
        var (term, sum) = (1.0, 1.0)
        for n in 1..<40 {
            term *= Double(x) / Double(n)
            sum += term
        }
        return Float(sum)
    }
}
