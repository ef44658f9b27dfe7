import Files
import Foundation
import StableDiffusion
import TestSupport
import Testing

/// Every key of a model folder's configurations is fed to its reader with values that it cannot overlook
/// (`ConfigurationKey.unet`, `.vae`, `.textEncoder`; docs/models.md).
@Suite struct ModelKeyTests {
    enum Part: String, CaseIterable, Sendable {
        case unet = "unet_c"
        case vae = "vae_a"
        case text

        var keys: [ConfigurationKey] {
            switch self {
            case .unet: ConfigurationKey.unet
            case .vae: ConfigurationKey.vae
            case .text: ConfigurationKey.textEncoder
            }
        }

        /// Everything that the reader takes from the file.
        func read(_ changes: [String: JSON] = [:]) throws -> String {
            try read(ModelGolden(rawValue).config(changes))
        }

        func read(_ config: ConfigFile) throws -> String {
            switch self {
            case .unet: "\(try UNetConfig(config))"
            case .vae: "\(try VAEConfig(config))"
            case .text: "\(try TextEncoderConfig(config))"
            }
        }

        var stableDiffusion15: String {
            switch self {
            case .unet: "\(UNetConfig.sd15)"
            case .vae: "\(VAEConfig.sd15)"
            case .text: "\(TextEncoderConfig.sd15)"
            }
        }
    }

    struct Case: CustomTestStringConvertible, Sendable {
        let part: Part
        let key: ConfigurationKey
        var testDescription: String { "\(part.rawValue) \(key.name)" }
    }

    static let cases = Part.allCases.flatMap { part in part.keys.map { Case(part: part, key: $0) } }

    @Test(arguments: cases) func keyIsTreatedAsItsTableSays(test: Case) throws {
        let (plain, name) = (try test.part.read(), test.key.name)
        let odd: JSON = ["odd": 3]
        switch test.key.treatment {
        case .harmless:
            for value in [odd, true, "x", 7, .null] { #expect(try test.part.read([name: value]) == plain) }
        case .refused:
            for value in [odd, true, "x", 7, 0.5] {
                #expect { try test.part.read([name: value]) } throws: { "\($0)".contains("\(name): expected") }
            }
            for value in test.key.accepted + [.null] { #expect(try test.part.read([name: value]) == plain) }
        case .used:
            #expect { try test.part.read([name: odd]) } throws: { "\($0)".contains("\(name): expected") }
            let changed = [true, false, 3, 4, 16, 0.25, "gelu", .null].contains { value in
                (try? test.part.read([name: value])).map { $0 != plain } ?? false
            }
            // These must fit each other: one alone is refused whatever else it is.
            let isTied = ["down_block_types", "up_block_types", "block_out_channels"].contains(name)
                || test.part == .vae && ["in_channels", "out_channels"].contains(name)
            #expect(changed || isTied)
        }
    }

    @Test(arguments: Part.allCases) func keysOfNoTableAreRefusedUnlessTheySayNothing(part: Part) throws {
        for value in [true, 1, "x", [0]] as [JSON] {
            #expect { try part.read(["new_option": value]) } throws: { "\($0)".contains("new_option") }
        }
        for value in [false, .null, "", [], [:]] as [JSON] {
            #expect(try part.read(["new_option": value, "_note": "x"]) == part.read())
        }
    }

    /// What diffusers and transformers save for Stable Diffusion 1.5, now and when it was published
    /// (tools/goldens/configurations.py).
    @Test(arguments: [
        (Part.unet, "unet.diffusers-0.42"), (.unet, "unet.diffusers-0.6"), (.unet, "unet.ema"),
        (.vae, "vae.diffusers-0.42"), (.vae, "vae.diffusers-0.6"), (.text, "text.transformers-4"),
        (.text, "text.transformers-5"), (.text, "text.transformers-5-full"),
    ])
    func whatTheLibrariesSaveIsRead(part: Part, file: String) throws {
        let config = try ConfigFile(path: fixture("configurations/\(file).json"))
        #expect(try part.read(config) == part.stableDiffusion15)
    }

    /// Python takes null for false, whatever the default; a middle block that is null is none.
    @Test func nullIsWhatItIsInTheLibraries() throws {
        #expect(try !UNetConfig(ModelGolden("unet_c").config(["flip_sin_to_cos": .null])).flipSinToCos)
        let config = try VAEConfig(ModelGolden("vae_a").config(["mid_block_add_attention": .null]))
        #expect(!config.midAttention)
        let unet = try UNetConfig(ModelGolden("unet_c").config(["mid_block_type": .null]))
        #expect(!unet.hasMiddle && !unet.blocks().contains { $0.name.hasPrefix("mid_block") })
        let written = try ConfigFile(file: "config.json", json: ModelFolderFiles.unet(unet))
        #expect(try UNetConfig(written) == unet)
    }

    /// diffusers 0.42 takes these as lists, one member for each level (checked with `UNet2DConditionModel.from_config`).
    @Test(arguments: ["layers_per_block", "cross_attention_dim", "transformer_layers_per_block", "only_cross_attention"])
    func equalNumbersForEachLevelAreOne(key: String) throws {
        let golden = try ModelGolden("unet_c")
        let plain = try UNetConfig(golden.config())
        let own = try golden.config().json[key] ?? (key == "only_cross_attention" ? false : 1)
        let list = JSON.array(plain.widths.map { _ in own })
        #expect(try UNetConfig(golden.config([key: list])) == plain)
        let other: JSON = own == false ? true : .integer((own.int ?? 0) + 1)
        let mixed = JSON.array(plain.widths.indices.map { $0 == 0 ? other : own })
        for wrong in [mixed, [], [[1]], ["x"]] as [JSON] {
            #expect { try UNetConfig(golden.config([key: wrong])) } throws: { "\($0)".contains("\(key): expected") }
        }
    }

    /// What diffusers 0.42 cannot run either takes the default: nobody's numbers differ from it.
    @Test(arguments: [
        "norm_eps", "freq_shift", "in_channels", "act_fn", "downsample_padding", "time_embedding_type", "dropout",
    ])
    func otherNullsAreTheDefault(key: String) throws {
        let golden = try ModelGolden("unet_c")
        var members = try #require(golden.config().json.object)
        members[key] = nil
        let absent = try UNetConfig(ConfigFile(file: "config.json", json: .object(members)))
        #expect(try UNetConfig(golden.config([key: .null])) == absent)
    }

    @Test func documentHasTheTables() throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../../docs/models.md")
        #expect(try String(contentsOf: root, encoding: .utf8).contains(ConfigurationKey.models))
    }
}
