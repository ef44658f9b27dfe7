import Checkpoints
import Files
import Foundation
import Ops
import StableDiffusion
import Tensors
import Testing

/// Whole generations on the small trained model that comes with the program, against diffusers
/// (`tools/make-generation-fixtures`).
@Suite struct GenerationTests {
    /// The model's folder in the source tree.
    static let modelPath: String = {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../..")
        return root.standardizedFileURL.path + "/Sources/Experiments/Resources/shapes"
    }()

    private static func generator() throws -> Generator {
        try Generator(ModelFolder(modelPath), engine: Engine(threads: 2))
    }

    private static func parameters(_ run: JSON, prompt: String) throws -> GenerationParameters {
        var parameters = GenerationParameters()
        parameters.prompt = prompt
        parameters.negativePrompt = run["negative"]?.string ?? ""
        parameters.steps = try #require(run["steps"]?.int)
        parameters.guidanceScale = Float(try #require(run["guidance"]?.double))
        parameters.sampler = SamplerName(rawValue: try #require(run["sampler"]?.string))
        parameters.seed = UInt64(try #require(run["seed"]?.int))
        parameters.width = run["width"]?.int
        parameters.height = run["height"]?.int
        parameters.clipSkip = run["clip_skip"]?.int ?? 0
        parameters.strength = run["strength"]?.double ?? 1
        return parameters
    }

    /// 20 log₁₀(peak / root mean square difference), the peak being the reference's maximum − minimum.
    private static func psnr(_ a: [Float], _ reference: [Float]) -> Double {
        guard a.count == reference.count, let high = reference.max(), let low = reference.min() else { return 0 }
        let square = zip(a, reference).reduce(0.0) { $0 + pow(Double($1.0) - Double($1.1), 2) } / Double(a.count)
        return 20 * log10(Double(high - low) / square.squareRoot())
    }

    static let runs = [
        "pndm", "ddim", "euler", "euler_a", "dpmpp_2m", "dpmpp_2m_karras", "unguided", "negative", "wide", "large",
        "clip_skip", "picture_pndm", "picture_euler", "picture_dpmpp_2m",
    ]

    @Test(arguments: runs) func agreesWithDiffusers(name: String) throws {
        let golden = try JSON.read(fixture("generation.json"))
        let tensors = try SafetensorsFile(path: fixture("generation.safetensors"))
        let run = try #require(golden["runs"]?[name])
        let generator = try Self.generator()
        var start = Generator.Start.noise
        if run["strength"] != nil {
            let pixels = try tensors.weight("picture")
            let picture = Tensor([1] + pixels.shape, pixels.floats().map { $0 / 127.5 - 1 })
            let encoder = try ModelFolder(Self.modelPath).loadVAEEncoder(engine: generator.unet.engine)
            start = .picture(try encoder.encode(picture))
        }
        let prompt = try #require(golden["prompt"]?.string)
        let latent = try generator.latent(Self.parameters(run, prompt: prompt), from: start)
        let psnr = Self.psnr(latent.array, try tensors.weight(name).floats())
        #expect(psnr >= 60, "\(name): \(psnr) dB")
    }

    /// Steering adds at the chosen time steps only, and a recorder before it sees what was there before.
    @Test func steeringAndRecordingAgreeWithHooksInDiffusers() throws {
        let golden = try JSON.read(fixture("generation.json"))
        let tensors = try SafetensorsFile(path: fixture("generation.safetensors"))
        let run = try #require(golden["runs"]?["steered"])
        let generator = try Self.generator()
        let point = try generator.unet.config.hookPoint(try #require(run["hook"]?.string))
        let range = Float(try #require(run["from"]?.int))...Float(try #require(run["to"]?.int))
        let strength = Float(try #require(run["add"]?.double))
        let steering = GenerationHook.adding(channel: try #require(run["channel"]?.int), at: point) {
            range.contains($0) ? strength : 0
        }
        let recorder = ActivationRecorder(at: point)
        let parameters = try Self.parameters(run, prompt: try #require(golden["prompt"]?.string))
        let latent = try generator.latent(parameters, hooks: [recorder.hook, steering])
        let psnr = Self.psnr(latent.array, try tensors.weight("steered").floats())
        #expect(psnr >= 60, "\(psnr) dB")
        #expect(recorder.timesteps == (try tensors.weight("steered/timesteps").floats()))
        let means = try #require(recorder.stacked())
        #expect(means.shape == [10, point.channels])
        #expect(relativeError(means.array, try tensors.weight("steered/means").floats()) < 1e-4)
    }
}
