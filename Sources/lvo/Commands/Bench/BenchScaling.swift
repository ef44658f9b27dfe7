import ArgumentParser
import Benchmarking
import Files
import Foundation
import Ops
import Parallel
import SparseAutoencoders
import StableDiffusion
import Tensors

struct BenchScaling: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "scaling",
        abstract: "Predict a pass on machines of many cores, from the times of this one's tasks.",
        discussion: """
            Runs the pass on one thread for each number of cores, with the work divided as for that many, records the time \
            of every task of every parallel region (the median of the repeats), and replays them on that many workers with \
            the cost of fork and join and memory's bandwidth. Where this machine has the cores, the pass is timed on them \
            and stands beside the prediction. Prints the regions that lose most on the largest number.
            """)

    /// What is run.
    enum Work: String, ExpressibleByArgument, CaseIterable { case unet, step, vae, sae }

    @Option(
        help: """
            unet: forward pass; step: forward to a layer, gradient back to the latent; vae: decoding to pictures; sae: a \
            training step of the size that `lvo bench sae` has by default.
            """)
    var work = Work.unet

    @Option(help: "Hook point where a step's forward pass stops.")
    var layer = "up_blocks.1.attentions.1"

    @Option(help: "Numbers of cores, separated by commas.")
    var cores = CoreCounts(counts: [1, 2, 4, 8, 16, 32, 64, 128])

    @Option(help: "Microseconds that fork and join costs with two workers. Default: measured here.")
    var forkJoin: Double?

    @Option(
        help: """
            Microseconds that each further worker adds to it: 0.27, the slope between 4 and 8 threads of ggml's own barrier \
            (llama.cpp #9598).
            """)
    var forkJoinPerCore = 0.27

    @Option(
        help: "GB/s of memory that all cores have together; one core has what is measured here. 400: twelve channels of DDR5.")
    var bandwidth = 400.0

    @Option(help: "Repeats of recorded and of measured passes.")
    var repeats = 3

    @Option(help: ArgumentHelp("Write the results as JSON too.", valueName: "file"))
    var json: String?

    @OptionGroup var precision: PrecisionOptions
    @OptionGroup var model: BenchModelOptions

    func validate() throws {
        let costs = [forkJoin ?? 0, forkJoinPerCore]
        if !costs.allSatisfy({ $0 >= 0 }) { throw ValidationError("fork and join cost 0 µs or more") }
        if !(bandwidth > 0) { throw ValidationError("--bandwidth \(bandwidth): expected more than 0") }
        if repeats < 1 { throw ValidationError("--repeats \(repeats): expected at least 1") }
    }

    func run() throws {
        if let json { try OutputCheck.file(json, overwrite: true) }
        let engine = try Engine(
            instructionSet: RuntimeOptions.environment["LVO_ISA"],
            precision: precision.precision.resolved(instructionSet: RuntimeOptions.environment["LVO_ISA"]))
        let machine = try self.machine(engine)
        let pass = try ScalingPass(self, engine)
        print(
            String(
                format: "%@, %@: %@; fork and join %.1f + %.2f µs a further core; %.0f GB/s a core, at most %.0f",
                engine.kernels.instructionSet, engine.precision.rawValue, pass.name, 1e6 * machine.forkJoin,
                1e6 * machine.forkJoinPerWorker, machine.bandwidthPerWorker / 1e9, machine.bandwidth / 1e9))
        let report = ScalingReport(machine: machine)
        print(report.header)
        for count in cores.counts {
            let recording = try pass.record(engine, workers: count, repeats: repeats)
            let measured = count <= engine.threads.count ? try pass.measure(engine, threads: count, repeats: repeats) : nil
            print(report.add(recording, workers: count, measured: measured))
        }
        print(report.limits(10))
        if let json { try OutputFile.write(report.json(pass.name).serialized(pretty: true).utf8, to: json, overwrite: true) }
    }

    /// Costs measured here where they are not given.
    private func machine(_ engine: Engine) throws -> Replay.Machine {
        let two = engine.running(on: Threads(count: 2)), one = engine.running(on: Threads(count: 1))
        return Replay.Machine(
            forkJoin: forkJoin.map { $0 * 1e-6 } ?? ForkJoin.seconds(two.threads), forkJoinPerWorker: forkJoinPerCore * 1e-6,
            bandwidthPerWorker: MemoryBandwidth.bytesPerSecond(one), bandwidth: bandwidth * 1e9)
    }
}

/// `1,2,4`: ascending or not, each from 1 to 1024.
struct CoreCounts: ExpressibleByArgument {
    let counts: [Int]

    init(counts: [Int]) { self.counts = counts }

    init?(argument: String) {
        let counts = argument.split(separator: ",", omittingEmptySubsequences: false).map { Int($0) ?? 0 }
        guard counts.allSatisfy({ (1...1024).contains($0) }) else { return nil }
        self.counts = counts
    }

    var defaultValueDescription: String { counts.map(String.init).joined(separator: ",") }
}

/// A pass, recorded or timed on engines of its own.
private struct ScalingPass {
    let name: String
    /// What is run on an engine.
    private let body: (Engine) throws -> () -> Void

    init(_ bench: BenchScaling, _ engine: Engine) throws {
        let model = bench.model
        let latents = model.latents()
        switch bench.work {
        case .unet:
            let folder = try model.folder(engine)
            name = "U-Net forward, batch \(model.batch)"
            body = { engine in
                let unet = try folder.loadUNet(engine: engine)
                let (time, text) = (unet.prepare(timestep: 501), model.text(unet))
                return { _ = unet.predict(latents, time: time, text: text) }
            }
        case .step:
            let folder = try model.folder(engine)
            let hook = try folder.unetConfig.hookPoint(bench.layer)
            name = "step to \(hook.name), batch \(model.batch)"
            body = { engine in
                let unet = try folder.loadUNet(upTo: hook, engine: engine)
                let (time, text) = (unet.prepare(timestep: 501), model.text(unet))
                return {
                    let trace = unet.forward(latents, to: hook, time: time, text: text)
                    _ = unet.backward(trace, gradient: Tensor.filled(trace.activation.shape))
                }
            }
        case .vae:
            let folder = try model.folder(engine)
            name = "VAE decode, batch \(model.batch)"
            body = { engine in
                let decoder = try folder.loadVAEDecoder(engine: engine)
                return { _ = decoder.decode(latents) }
            }
        case .sae:
            name = "SAE training step, batch \(SAETrainingStep.sdBatch)"
            body = { engine in
                let training = SAETrainingStep(SAETrainingStep.sdSize, batch: SAETrainingStep.sdBatch, engine: engine)
                return { training.run(step: 1, passes: PassTimes()) }
            }
        }
    }

    func record(_ engine: Engine, workers: Int, repeats: Int) throws -> RegionRecorder.Recording {
        let recorder = RegionRecorder()
        let pass = try body(engine.running(on: Threads(recording: recorder, count: workers)))
        pass()
        return RegionRecorder.Recording.median(
            (0..<repeats).map { _ in
                recorder.start()
                pass()
                return recorder.stop()
            })
    }

    /// Median seconds.
    func measure(_ engine: Engine, threads: Int, repeats: Int) throws -> Double {
        let pass = try body(engine.running(on: Threads(count: threads)))
        return Timing(name, repeats: repeats) { pass() }.median
    }
}
