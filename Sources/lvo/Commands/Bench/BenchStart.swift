import ArgumentParser
import Benchmarking
import Experiments
import Files
import Ops
import StableDiffusion

struct BenchStart: Benchmark {
    static let configuration = CommandConfiguration(
        commandName: "start", abstract: "Opening and loading a model, its weights packed anew and kept in the cache.",
        discussion: """
            The warm-up puts the weights into the cache if they are not there, and the files into the system's memory.
            """)

    @OptionGroup var options: BenchOptions
    @OptionGroup var precision: PrecisionOptions
    @OptionGroup var model: BenchModelOptions

    func measure() throws -> BenchResult {
        let engine = try options.runtime.engine(precision)
        let report = BenchReport(engine: engine)
        let (path, packs) = (try model.folder(engine).path, try CacheFolder.packs())
        var timings: [Timing] = []
        func time(_ name: String, isKept: Bool, _ load: @escaping (ModelSession) throws -> Void) throws {
            func start() throws {
                let session = try ModelSession(
                    ModelReference(path), engine: engine, checksums: CacheFolder.checksums, packs: isKept ? packs : nil)
                try load(session)
            }
            let how = isKept ? "from the cache" : "packed anew"
            timings.append(try Timing("\(name), \(how)", repeats: options.repeats, start))
        }
        for isKept in packs == nil ? [false] : [false, true] {
            try time("opening and text encoder", isKept: isKept) { _ = try $0.text(TextSource()) }
            try time("opening and whole U-Net", isKept: isKept) { _ = try $0.unet(upTo: nil) }
            try time("opening and VAE decoder", isKept: isKept) { _ = try $0.decoder() }
        }
        return report.show(timings)
    }
}
