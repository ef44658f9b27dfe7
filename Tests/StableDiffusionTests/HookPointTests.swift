import Checkpoints
import Files
import Ops
import StableDiffusion
import Tensors
import Testing

@Suite struct HookPointTests {
    private func sd15() throws -> UNetConfig {
        let json = try #require(ModelFolderFiles.sd15.first { $0.path == "unet/config.json" }?.json)
        return try UNetConfig(ConfigFile(file: "unet/config.json", json: json))
    }

    @Test func prefixIsAcceptedAndMeansTheSame() throws {
        let config = try sd15()
        let hook = try config.hookPoint("unet.up_blocks.1.attentions.1")
        #expect(hook == (try config.hookPoint("up_blocks.1.attentions.1")))
        #expect(hook.shape(batch: 5, height: 64, width: 64) == [5, 256, 1280])
    }

    @Test func unknownNamesGetTheNearest() throws {
        let config = try sd15()
        let error = #expect(throws: SimpleFailure.self) { try config.hookPoint("up_block.1.attention.1") }
        #expect(error?.kind == .usage)
        #expect(error?.description.contains("nearest: up_blocks.1.attentions.1,") == true)
    }

    @Test func kindsThatTheMethodNames() throws {
        let names = Set(try sd15().hookPoints().map(\.name))
        for name in [
            "conv_in", "down_blocks.0.resnets.1", "down_blocks.2.downsamplers.0", "mid_block.resnets.0",
            "mid_block.attentions.0", "up_blocks.0.upsamplers.0", "up_blocks.3.attentions.2",
            "up_blocks.1.attentions.0.proj_in", "up_blocks.1.attentions.0.transformer_blocks.0.attn1",
            "up_blocks.1.attentions.0.transformer_blocks.0.attn2",
        ] {
            #expect(names.contains(name), "\(name)")
        }
    }

    /// Parameters counted by rule are those of the manifest, whole and up to a hook; operations those published for
    /// Stable Diffusion 1.5 at 512×512 (803 GFLOP, of which attention 126).
    @Test func costsOfStableDiffusion15() throws {
        let config = try sd15()
        let size = LatentSize(height: 64, width: 64)
        let whole = config.cost(size)
        #expect(whole.parameters == 859_520_964)
        #expect(abs(Double(whole.flops) / 803e9 - 1) < 0.01)
        let part = config.cost(to: try config.hookPoint("up_blocks.1.attentions.1"), size)
        #expect((part.parameters + 500_000) / 1_000_000 == 679)
    }

    @Test func onlyTheWeightsUpToTheHookAreNeeded() throws {
        let fixture = try UNetFixture("unet_a")
        let hook = try fixture.config.hookPoint("mid_block.attentions.0")
        let needed = SyntheticWeights.self
        let early = fixture.config.manifest.tensors.filter { !$0.name.hasPrefix("up_blocks") }
        let weights = early.map { Weight(name: $0.name, tensor: needed.init(name: $0.name, shape: $0.shape).tensor()) }
        let store = try WeightStore(file: "part", weights: weights, naming: ModelComponent.unet)
        let unet = try UNet(config: fixture.config, weights: store, upTo: hook, engine: fixture.engine)
        #expect(unet.reaches(hook))
        #expect(!unet.reaches(try fixture.config.hookPoint("up_blocks.0.resnets.0")))
        let activation = unet.activation(
            fixture.latent, at: hook, time: unet.prepare(timestep: fixture.timestep),
            text: unet.prepare(context: fixture.context))
        let expected = try fixture.golden.tensor("mid_block.attentions.0/mean")
        #expect(relativeError(positionMean(activation), expected) < 1e-4)
        #expect(throws: FileFailure.self) {
            try UNet(config: fixture.config, weights: store, engine: fixture.engine)
        }
    }
}
