import ArgumentParser
import Experiments
import Files
import Foundation
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
    }

    func run() throws { try hearingSignals(run) }

    private func run(_ stop: StopFlag) throws {
        let part = try shard.part()
        try OutputCheck.folder(store)
        let session = try pictures.session(engine: runtime.engine(precision))
        var request = try pictures.request(seed: seed.value(), session)
        request.limit = count
        let capture = try Experiments.Capture(session, request, picturesPerFile: picturesPerFile, check: stop.check)
        for size in capture.sizes { print(text(size)) }
        if dryRun { return }
        var progress = Progress(total: 0)
        defer { progress.close() }
        let folders = try capture.run(into: store, shard: part) { event in
            switch event {
            case .began(let done, let files, let left):
                if done > 0 { note("\(done) of \(files) files are there") }
                progress = Progress(total: left)
            case .drew(let file, let files): progress.advance("file \(file + 1) of \(files)")
            case .waiting(let files): progress.show("other processes are at the last \(files) files")
            }
        }
        progress.close()
        for folder in folders { print(folder) }
    }

    private func text(_ size: Experiments.Capture.Size) -> String {
        String(
            format: "%@: %d pictures × %d steps × %d positions × %d channels, half precision: %@", size.layer,
            size.pictures, size.steps, size.positions, size.channels, Experiments.Capture.text(bytes: size.bytes))
    }
}
