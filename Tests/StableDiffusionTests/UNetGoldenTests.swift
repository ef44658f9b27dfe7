import StableDiffusion
import Tensors
import Testing

/// Small U-Nets against diffusers: 2, 1, 2 layers per block; 32, 8, 16 groups; 4, 3, 8 heads; square and not; with
/// middle block and without (`"mid_block_type": null`).
@Suite struct UNetGoldenTests {
    static let names = ["unet_a", "unet_b", "unet_c", "unet_no_middle"]

    @Test(arguments: names) func outputMatchesAndEveryHookIsSeen(_ name: String) throws {
        let fixture = try UNetFixture(name)
        let unet = try fixture.unet()
        let hooks = try fixture.hooks.map { try fixture.config.hookPoint($0.name) }
        #expect(hooks.count >= 9)
        var seen: [String: Tensor] = [:]
        let time = unet.prepare(timestep: fixture.timestep)
        let text = unet.prepare(context: fixture.context)
        let eps = unet.predict(fixture.latent, time: time, text: text, observing: hooks) { hook, activation in
            seen[hook.name] = activation
            return nil
        }
        #expect(relativeError(eps, try fixture.golden.tensor("eps")) < 1e-4)
        for hook in hooks {
            let activation = try #require(seen[hook.name])
            #expect(
                activation.shape == hook.shape(
                    batch: fixture.latent.shape[0], height: fixture.latent.shape[2], width: fixture.latent.shape[3]))
            let expected = try fixture.golden.tensor("\(hook.name)/mean")
            #expect(relativeError(positionMean(activation), expected) < 1e-4, "\(hook.name)")
        }
        let full = "up_blocks.1.attentions.0"
        let activation = try #require(seen[full])
        #expect(relativeError(activation, try fixture.golden.tensor("\(full)/acts")) < 1e-4)
    }

    @Test(arguments: names) func gradientOfEveryHookMatches(_ name: String) throws {
        let fixture = try UNetFixture(name)
        let unet = try fixture.unet()
        let time = unet.prepare(timestep: fixture.timestep)
        let text = unet.prepare(context: fixture.context)
        for (hookName, channel) in fixture.hooks {
            let hook = try fixture.config.hookPoint("unet." + hookName)
            let trace = unet.forward(fixture.latent, to: hook, time: time, text: text)
            let mean = try fixture.golden.tensor("\(hookName)/mean")
            #expect(relativeError(positionMean(trace.activation), mean) < 1e-4, "\(hookName)")
            let cotangent = channelCotangent(trace.activation.shape, channel: channel)
            let gradient = unet.backward(trace, gradient: cotangent)
            let expected = try fixture.golden.tensor("\(hookName)/grad")
            #expect(relativeError(gradient, expected) < 1e-4, "\(hookName)")
        }
    }
}
