import ArgumentParser
import Benchmarking
import Experiments
import Files
import Foundation
import Ops
import Parallel
import StableDiffusion
import Tensors

/// The model of a benchmark and its inputs.
struct BenchModelOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Model folder. Default: synthetic SD 1.5, made once in the cache.", valueName: "dir"))
    var model: String?

    @Option(help: "Side of the latent: 64 is a picture of 512 pixels.")
    var latent = 64

    @Option(help: "Latents in the batch.")
    var batch = 1

    func validate() throws {
        if latent < 1 || latent > 512 { throw ValidationError("--latent \(latent): expected 1…512") }
        if batch < 1 { throw ValidationError("--batch \(batch): expected at least 1") }
    }

    func folder(_ engine: Engine) throws -> ModelFolder {
        if let model { return try ModelFolder(model) }
        let path = CacheFolder.path + "/sd15-f16"
        if !FileManager.default.fileExists(atPath: path + "/model_index.json") {
            note("writing synthetic SD 1.5 (2.1 GB, once) to \(path)")
            let partial = "\(path).\(ProcessInfo.processInfo.processIdentifier)"
            try SyntheticModel(dtype: .f16).write(to: partial, overwrite: true) { tasks, body in
                engine.threads.forEach(tasks) { task, _ in body(task) }
            }
            try OutputFile.moveFolder(partial, to: path)
        }
        return try ModelFolder(path)
    }

    func latents() -> Tensor { Tensor.filled([batch, 4, latent, latent]) }

    func text(_ unet: UNet) -> TextConditioning {
        unet.prepare(context: Tensor.filled([1, 77, unet.config.contextWidth]))
    }

    /// `… at batch×side×side`, for a result's name.
    var size: String { "\(batch)×\(latent)×\(latent)" }
}

/// Where a benchmark's weights come from.
struct BenchCacheOption: ParsableArguments {
    @Flag(help: "Take the weights from the cache, as other commands do, rather than pack them anew.")
    var cached = false

    /// The model as networks are loaded from it.
    func folder(_ model: BenchModelOptions, _ engine: Engine) throws -> ModelFolder {
        let folder = try model.folder(engine)
        guard cached else { return folder }
        return try ModelSession(
            ModelReference(folder.path), engine: engine, checksums: CacheFolder.checksums, packs: CacheFolder.packs()
        ).loadable()
    }
}

/// Seconds since a start at each block: where a pass spends its time.
final class BlockClock {
    private(set) var seconds: [(name: String, seconds: Double)] = []
    private var last = ContinuousClock.now

    func start() { last = .now }

    func tick(_ name: String) {
        let parts = (ContinuousClock.now - last).components
        seconds.append((name, Double(parts.seconds) + Double(parts.attoseconds) * 1e-18))
        last = .now
    }
}

struct BenchUNet: Benchmark {
    static let configuration = CommandConfiguration(
        commandName: "unet", abstract: "One forward pass of the whole U-Net.")

    @OptionGroup var options: BenchOptions
    @OptionGroup var precision: PrecisionOptions
    @OptionGroup var model: BenchModelOptions
    @OptionGroup var cache: BenchCacheOption

    func measure() throws -> BenchResult {
        let engine = try options.runtime.engine(precision)
        let report = BenchReport(engine: engine)
        let unet = try cache.folder(model, engine).loadUNet(engine: engine)
        let (time, text) = (unet.prepare(timestep: 501), model.text(unet))
        let size = LatentSize(batch: model.batch, height: model.latent, width: model.latent)
        let latents = model.latents()
        let measurement = Timing(
            "U-Net forward, \(model.size)", repeats: options.repeats, flops: Double(unet.config.cost(size).flops)
        ) {
            _ = unet.predict(latents, time: time, text: text)
        }
        return report.show([measurement])
    }
}

struct BenchVAE: Benchmark {
    static let configuration = CommandConfiguration(
        commandName: "vae", abstract: "Decoding latents to pictures.")

    @OptionGroup var options: BenchOptions
    @OptionGroup var precision: PrecisionOptions
    @OptionGroup var model: BenchModelOptions

    func measure() throws -> BenchResult {
        let engine = try options.runtime.engine(precision)
        let report = BenchReport(engine: engine)
        let decoder = try model.folder(engine).loadVAEDecoder(engine: engine)
        let latents = model.latents()
        let measurement = Timing("VAE decode, \(model.size)", repeats: options.repeats) {
            _ = decoder.decode(latents)
        }
        return report.show([measurement])
    }
}
