import Ops
import StableDiffusion
import Tensors
import Testing

/// How the U-Net is walked: what is kept, how many threads, what is edited, how far it is loaded.
@Suite struct UNetWalkTests {
    private static let hookName = "up_blocks.1.attentions.1"

    private func gradient(
        _ fixture: UNetFixture, policies: [GradientCheckpointing] = [], hook name: String = hookName
    ) throws -> (activation: [Float], gradient: [Float]) {
        let hook = try fixture.config.hookPoint(name)
        let unet = try fixture.unet(upTo: hook)
        let trace = unet.forward(
            fixture.latent, to: hook, time: unet.prepare(timestep: fixture.timestep),
            text: unet.prepare(context: fixture.context), policies: policies)
        let activation = trace.activation.array
        let cotangent = channelCotangent(trace.activation.shape, channel: 3)
        return (activation, unet.backward(trace, gradient: cotangent).array)
    }

    @Test func recomputingGivesTheSameBits() throws {
        let fixture = try UNetFixture("unet_a")
        let kept = try gradient(fixture)
        let count = fixture.config.blocks().count
        #expect(try gradient(fixture, policies: Array(repeating: .recompute, count: count)) == kept)
        let mixed = (0..<count).map { $0 % 3 == 0 ? GradientCheckpointing.recompute : .keep }
        #expect(try gradient(fixture, policies: mixed) == kept)
    }

    @Test(arguments: ["unet_a", "unet_c"]) func threadsDoNotChangeBits(_ name: String) throws {
        let one = try gradient(UNetFixture(name, threads: 1))
        for count in [2, 3, 7, 64] { #expect(try gradient(UNetFixture(name, threads: count)) == one, "\(count)") }
    }

    @Test func nothingIsAllocatedAfterTheFirstStep() throws {
        let fixture = try UNetFixture("unet_a")
        let hook = try fixture.config.hookPoint(Self.hookName)
        let unet = try fixture.unet(upTo: hook)
        let (time, text) = (unet.prepare(timestep: 1), unet.prepare(context: fixture.context))
        func step() {
            let trace = unet.forward(fixture.latent, to: hook, time: time, text: text)
            let gradient = unet.backward(trace, gradient: channelCotangent(trace.activation.shape, channel: 0))
            #expect(gradient.shape == fixture.latent.shape)
        }
        step()
        step()
        let before = fixture.engine.workspace.statistics
        for _ in 0..<3 { step() }
        let after = fixture.engine.workspace.statistics
        withExtendedLifetime((unet, time, text)) {
            #expect(after.allocations == before.allocations)
            #expect(after.bytesInUse == before.bytesInUse)
        }
    }

    @Test func contextOfOneIsSharedByTheBatch() throws {
        let fixture = try UNetFixture("unet_a")
        let hook = try fixture.config.hookPoint(Self.hookName)
        let unet = try fixture.unet(upTo: hook)
        let one = fixture.context.slice(0..<1)
        let both = Tensor(fixture.context.shape, one.array + one.array)
        let time = unet.prepare(timestep: 100)
        func run(_ context: Tensor) -> [Float] {
            let trace = unet.forward(fixture.latent, to: hook, time: time, text: unet.prepare(context: context))
            let gradient = unet.backward(trace, gradient: channelCotangent(trace.activation.shape, channel: 0))
            return trace.activation.array + gradient.array
        }
        #expect(run(one) == run(both))
    }

    /// Stops at every hook point of the network, and sees there what a full pass shows.
    @Test func everyHookPointIsReachedAndHasAGradient() throws {
        let fixture = try UNetFixture("unet_c")
        let unet = try fixture.unet()
        let (time, text) = (unet.prepare(timestep: 7.5), unet.prepare(context: fixture.context))
        var seen: [String: Tensor] = [:]
        _ = unet.predict(
            fixture.latent, time: time, text: text, observing: fixture.config.hookPoints()
        ) { hook, activation in
            seen[hook.name] = activation
            return nil
        }
        for hook in fixture.config.hookPoints() {
            let trace = unet.forward(fixture.latent, to: hook, time: time, text: text)
            let observed = try #require(seen[hook.name])
            // Looking at a branch moves a sum out of a product, which may round differently.
            #expect(relativeError(observed, trace.activation) < 1e-5, "\(hook.name)")
            #expect(
                trace.activation.shape == hook.shape(
                    batch: 3, height: fixture.latent.shape[2], width: fixture.latent.shape[3]))
            let gradient = unet.backward(trace, gradient: channelCotangent(observed.shape, channel: 0))
            #expect(gradient.array.contains { $0 != 0 } && gradient.array.allSatisfy(\.isFinite), "\(hook.name)")
        }
    }

    @Test func editsGoOnThroughTheNetwork() throws {
        let fixture = try UNetFixture("unet_c")
        let unet = try fixture.unet()
        let (time, text) = (unet.prepare(timestep: 3), unet.prepare(context: fixture.context))
        let first = try fixture.config.hookPoint("mid_block.attentions.0.transformer_blocks.0.attn2")
        let second = try fixture.config.hookPoint("up_blocks.1.resnets.0")
        func run(edit: Bool) -> (eps: Tensor, later: Tensor?) {
            var later: Tensor?
            let eps = unet.predict(fixture.latent, time: time, text: text, observing: [first, second]) {
                hook, activation in
                if hook == second { later = activation }
                guard edit, hook == first else { return nil }
                return Tensor(activation.shape, activation.array.map { $0 + 1 })
            }
            return (eps, later)
        }
        let (plain, edited) = (run(edit: false), run(edit: true))
        #expect(relativeError(edited.eps, plain.eps) > 1e-3)
        #expect(relativeError(try #require(edited.later), try #require(plain.later)) > 1e-3)
    }

    /// Latents that cannot be halved evenly: the way up follows the skips' sizes, as diffusers does.
    @Test func oddLatentSizes() throws {
        let fixture = try UNetFixture("unet_a")
        let unet = try fixture.unet()
        let (time, text) = (unet.prepare(timestep: 3), unet.prepare(context: fixture.context.slice(0..<1)))
        var random = TorchGenerator(seed: 1)
        let latent = random.randn([1, 4, 13, 9])
        #expect(unet.predict(latent, time: time, text: text).shape == latent.shape)
        let hook = try fixture.config.hookPoint("up_blocks.2.attentions.0")
        let trace = unet.forward(latent, to: hook, time: time, text: text)
        #expect(trace.activation.shape == hook.shape(batch: 1, height: 13, width: 9))
        let cotangent = channelCotangent(trace.activation.shape, channel: 2)
        let gradient = unet.backward(trace, gradient: cotangent)
        // Against a central difference along the gradient itself.
        let norm = gradient.array.reduce(0) { $0 + $1 * $1 }.squareRoot()
        func objective(_ step: Float) -> Float {
            let moved = Tensor(latent.shape, zip(latent.array, gradient.array).map { $0 + step * $1 / norm })
            let activation = unet.activation(moved, at: hook, time: time, text: text)
            return zip(activation.array, cotangent.array).reduce(0) { $0 + $1.0 * $1.1 }
        }
        let slope = (objective(0.02) - objective(-0.02)) / 0.04
        #expect(abs(slope / norm - 1) < 0.01)
    }
}
