import Checkpoints
import Files
import StableDiffusion
import Testing

@Suite struct ManifestTests {
    /// The rule against the list of every tensor of the published model.
    @Test(arguments: [
        ("sd15_unet", UNetConfig.sd15.manifest, 859_520_964), ("sd15_vae", VAEConfig.sd15.manifest, 83_653_863),
        ("sd15_text_encoder", TextEncoderConfig.sd15.manifest, 123_060_480),
    ])
    func agreesWithThePublishedModel(_ fixture: String, _ manifest: Manifest, _ parameters: Int) throws {
        let json = try JSON.read(Fixtures.path("manifests/\(fixture).json"))
        let listed = try #require(json.object)
        #expect(
            manifest.shapes
                == Dictionary(uniqueKeysWithValues: listed.map { ($0.key, $0.value.array?.compactMap(\.int)) }))
        #expect(manifest.tensors.count == listed.count)
        #expect(manifest.parameterCount == parameters)
    }

    @Test func configurationsDescribeTheSameLayout() throws {
        let unet = try ConfigFile(file: "unet", json: ModelFolderFiles.unet(.sd15))
        #expect(try UNetConfig(unet) == .sd15)
        let vae = try ConfigFile(file: "vae", json: ModelFolderFiles.vae(.sd15))
        #expect(try VAEConfig(vae) == .sd15)
        let text = try ConfigFile(file: "text", json: ModelFolderFiles.textEncoder(.sd15))
        #expect(try TextEncoderConfig(text) == .sd15)
    }

    @Test func unknownBlocksAreNamed() throws {
        let config = try ConfigFile(
            file: "unet",
            json: ["block_out_channels": [8], "down_block_types": ["AttnDownBlock2D"], "up_block_types": ["UpBlock2D"]])
        #expect(performing: { try UNetConfig(config) }, throws: { "\($0)".contains("AttnDownBlock2D") })
        let vae = try ConfigFile(file: "vae", json: ["down_block_types": ["AttnDownEncoderBlock2D"]])
        #expect(performing: { try VAEConfig(vae) }, throws: { "\($0)".contains("AttnDownEncoderBlock2D") })
    }

    @Test func absurdSizesAreRefused() throws {
        for json: JSON in [["block_out_channels": []], ["block_out_channels": [0]], ["layers_per_block": 100_000]] {
            let config = try ConfigFile(file: "unet", json: json)
            #expect(throws: FileFailure.self) { try UNetConfig(config) }
        }
    }
}
