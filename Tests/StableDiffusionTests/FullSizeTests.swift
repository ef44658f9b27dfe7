import Foundation
import Ops
import StableDiffusion
import Tensors
import Testing

/// Stable Diffusion 1.5's own sizes with synthetic weights. They take 4.3 GB, so these tests run where
/// `tools/check-sd15` has written them once (into LVO_CACHE, or ~/.cache/lvo).
@Suite(.serialized, .enabled(if: FullSize.exists, "run tools/check-sd15 to write the weights first"))
struct FullSizeTests {
    @Test func textEncoder() throws {
        let full = try FullSize()
        let encoder = try full.folder.loadTextEncoder(engine: full.engine)
        #expect(relativeError(try encoder.encode(full.golden.ids("ids")), try full.golden.tensor("text")) < 1e-4)
        #expect(try full.golden.ids("ids_empty") == [encoder.config.emptyPromptIDs])
        #expect(relativeError(try encoder.encodeEmptyPrompt(), try full.golden.tensor("text_empty")) < 1e-4)
    }

    @Test(arguments: ["s16", "s64"]) func outputAndGradients(_ tag: String) throws {
        let full = try FullSize()
        let unet = try full.folder.loadUNet(engine: full.engine)
        let latent = try full.golden.tensor("\(tag)/latent")
        let time = unet.prepare(timestep: 501)
        let text = unet.prepare(context: try full.golden.tensor("text_empty"))
        let eps = unet.predict(latent, time: time, text: text)
        #expect(relativeError(eps, try full.golden.tensor("\(tag)/eps")) < 1e-4)
        let hooks = try full.hooks(tag)
        #expect(!hooks.isEmpty)
        for (name, channel) in hooks {
            let trace = unet.forward(latent, to: try unet.config.hookPoint(name), time: time, text: text)
            let mean = try full.golden.tensor("\(tag)/\(name)/mean")
            #expect(relativeError(positionMean(trace.activation), mean) < 1e-4)
            let cotangent = channelCotangent(trace.activation.shape, channel: channel)
            let gradient = unet.backward(trace, gradient: cotangent)
            #expect(relativeError(gradient, try full.golden.tensor("\(tag)/\(name)/grad")) < 1e-4)
        }
    }

    /// `decoded` and `image` are stored as half floats; mean and logvar encode the rounded image.
    @Test func autoencoder() throws {
        let full = try FullSize()
        // The reference applied no scaling factor: undo ours.
        let scale = try full.folder.vaeConfig().scalingFactor
        let latent = try full.golden.tensor("vae/latent")
        let scaled = Tensor(latent.shape, latent.array.map { $0 * scale })
        let picture = try full.folder.loadVAEDecoder(engine: full.engine).decode(scaled)
        #expect(relativeError(picture.channelsFirst(), try full.golden.tensor("vae/decoded")) < 1e-3)
        let image = try full.golden.tensor("vae/image").channelsLast()
        let latents = try full.folder.loadVAEEncoder(engine: full.engine).encode(image)
        #expect(relativeError(latents.mean, try full.golden.tensor("vae/mean")) < 1e-4)
        #expect(relativeError(latents.logvar, try full.golden.tensor("vae/logvar")) < 1e-4)
    }
}

/// The cached model and its reference values.
struct FullSize {
    let golden: ModelGolden
    let folder: ModelFolder
    let engine: Engine

    static var path: String {
        let environment = ProcessInfo.processInfo.environment
        return (environment["LVO_CACHE"] ?? (environment["HOME"] ?? "") + "/.cache/lvo") + "/sd15-f32"
    }

    static var exists: Bool { FileManager.default.fileExists(atPath: path + "/complete") }

    init() throws {
        golden = try ModelGolden("sd15_synthetic")
        folder = try ModelFolder(Self.path)
        engine = try Engine()
    }

    func hooks(_ tag: String) throws -> [(name: String, channel: Int)] {
        let entry = golden.json["unet"]?.array?.first { $0["tag"]?.string == tag }
        return entry?["hooks"]?.object?.map { ($0.key, $0.value["channel"]?.int ?? -1) } ?? []
    }
}
