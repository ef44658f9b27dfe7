import ArgumentParser
import Experiments
import Files
import Foundation
import Parallel
import WorkUnits

struct Capture: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Store a model's activations for `lvo sae train` and `lvo sae eval`.",
        discussion: """
            Draws pictures and writes what layers do meanwhile into STORE/LAYER: half-precision files with checksums. The \
            size is printed first; --dry-run ends there. Run the same command again to go on after a stop: what was \
            drawn is kept. Any number of processes may fill one store; --shard divides it between machines, with or \
            without a common folder, and the bytes are the same however it is divided.
            """)

    @OptionGroup var pictures: ActivationOptions
    @OptionGroup var precision: PrecisionOptions
    @OptionGroup var runtime: RuntimeOptions

    @Option(help: "Pictures in all, round and round through the prompts with new seeds. Default: one per prompt.")
    var count: Int?

    @Option(help: "Pictures per file.")
    var picturesPerFile = 16

    @OptionGroup var shard: ShardOption
    @OptionGroup var workers: WorkersOption

    @Option(parsing: .unconditional, help: "Seed of the pictures' seeds; -1 draws one.")
    var seed = SeedArgument(0)

    @Option(help: ArgumentHelp("Folder for the stores; made if missing.", valueName: "dir"))
    var store: String

    @Flag(help: "Print the size and end.")
    var dryRun = false

    func validate() throws {
        if pictures.model == nil { throw ValidationError("give --model, --layer and --prompts") }
        if let count, count < 1 { throw ValidationError("--count \(count): expected at least 1") }
        if picturesPerFile < 1 {
            throw ValidationError("--pictures-per-file \(picturesPerFile): expected at least 1")
        }
        if workers.workers != nil, seed.isDrawn { throw ValidationError("--workers needs a --seed that all know, not -1") }
    }

    func run() throws { try hearingSignals(run) }

    private func run(_ stop: StopFlag) throws {
        workers.begin()
        let part = try shard.part()
        try OutputCheck.folder(store)
        let session = try pictures.session(engine: runtime.engine(precision))
        var request = try pictures.request(seed: seed.value(), session)
        request.limit = count
        let capture = try Experiments.Capture(session, request, picturesPerFile: picturesPerFile, check: stop.check)
        for size in capture.sizes { print(text(size)) }
        if dryRun { return }
        let progress = CaptureProgress(emitsEvents: workers.worker)
        defer { progress.close() }
        if let groups = workers.groups(memory: nil) { try share(among: groups, progress, stop) }
        // After workers it finds every file there.
        let folders = try capture.run(into: store, shard: part, report: progress.show)
        progress.close()
        for folder in folders { print(folder) }
    }

    private func share(among groups: [CoreGroup], _ progress: CaptureProgress, _ stop: StopFlag) throws {
        let arguments = WorkersOption.arguments()
        let fleet = WorkerFleet(groups: groups, arguments: { _ in arguments }, stop: stop) { _, json in
            // That one waits while others draw is no news.
            if let event = Experiments.Capture.Event(json), json["event"] != "waiting" { progress.show(event) }
        } say: {
            progress.close()
            Output.error($0 + "\n")
        }
        if let failure = try fleet.run() { throw failure }
    }

    private func text(_ size: Experiments.Capture.Size) -> String {
        String(
            format: "%@: %d pictures × %d steps × %d positions × %d channels, half precision: %@", size.layer,
            size.pictures, size.steps, size.positions, size.channels, Experiments.Capture.text(bytes: size.bytes))
    }
}
