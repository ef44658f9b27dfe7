import ArgumentParser
import Experiments
import Files
import Foundation
import Ops
import SparseAutoencoders
import StableDiffusion
import Studies
import Tensors
import WorkUnits

struct Capture: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Store a model's activations for `lvo sae train` and `lvo sae eval`.",
        discussion: """
            Draws pictures and writes what layers do meanwhile into STORE/LAYER: half-precision shards with checksums. The \
            size is printed first; --dry-run ends there. Run the same command again to go on after a stop: complete \
            shards are kept.
            """)

    @OptionGroup var pictures: ActivationOptions
    @OptionGroup var runtime: RuntimeOptions

    @Option(help: "Pictures in all, round and round through the prompts with new seeds. Default: one per prompt.")
    var count: Int?

    @Option(help: "Pictures per shard.")
    var shard = 16

    @Option(help: "Seed of the pictures' seeds.")
    var seed: UInt64 = 0

    @Option(help: ArgumentHelp("Folder for the stores; made if missing.", valueName: "dir"))
    var store: String

    @Flag(help: "Print the size and end.")
    var dryRun = false

    func validate() throws {
        if pictures.model == nil { throw ValidationError("give --model, --layer and --prompts") }
        if let count, count < 1 { throw ValidationError("--count \(count): expected at least 1") }
        if shard < 1 { throw ValidationError("--shard \(shard): expected at least 1") }
    }

    func run() throws { try hearingSignals(run) }

    private func run(_ stop: StopFlag) throws {
        try OutputCheck.folder(store)
        let engine = try runtime.engine()
        let count = try count ?? Prompt.read(pictures.prompts ?? "").count
        let producer = try pictures.activations(seed: seed, limit: count, engine: engine) { _, _, _ in
            try stop.check()
        }
        let bytes = printSize(producer, count)
        if dryRun { return }
        let stores = try producer.layers.map {
            try ActivationStore(
                folder: "\(store)/\($0.name)", layer: $0.name, width: $0.width, positions: $0.positions,
                pictures: count, picturesPerShard: shard, origin: producer.origin)
        }
        let shards = stores[0].shardsInAll
        let missing = (0..<shards).filter { shard in stores.contains { !$0.has(shard: shard) } }
        let left = missing.reduce(0) { $0 + stores[0].pictures(shard: $1).count }
        try checkSpace(bytes / count * left)
        if missing.count < shards { note("\(shards - missing.count) of \(shards) shards are there") }
        let progress = Progress(total: left)
        defer { progress.close() }
        for shard in missing {
            try write(shard, producer, stores) { progress.advance("shard \(shard + 1) of \(shards)") }
        }
        progress.close()
        for store in stores { print(store.folder) }
    }

    /// Prints and returns the size of all stores.
    private func printSize(_ producer: GeneratedActivations, _ count: Int) -> Int {
        var sum = 0
        for layer in producer.layers {
            let bytes = count * producer.mapsPerPicture * layer.positions * layer.width * 2
            sum += bytes
            print(
                String(
                    format: "%@: %d pictures × %d steps × %d positions × %d channels, half precision: %@", layer.name,
                    count, producer.mapsPerPicture, layer.positions, layer.width, Self.size(bytes)))
        }
        return sum
    }

    private static func size(_ bytes: Int) -> String {
        bytes < 1_000_000_000
            ? String(format: "%.1f MB", Double(bytes) / 1e6) : String(format: "%.2f GB", Double(bytes) / 1e9)
    }

    private func checkSpace(_ needed: Int) throws {
        let attributes = try? FileManager.default.attributesOfFileSystem(forPath: store)
        guard let free = (attributes?[.systemFreeSize] as? NSNumber)?.intValue, free < needed else { return }
        throw SimpleFailure(
            .cannotWrite, "\(store): \(Self.size(needed)) to write, \(Self.size(free)) free; give another folder or fewer "
                + "pictures")
    }

    private func write(
        _ shard: Int, _ producer: GeneratedActivations, _ stores: [ActivationStore], drawn: () -> Void
    ) throws {
        var maps = [[Tensor]](repeating: [], count: stores.count)
        var timesteps: [Int] = []
        for index in stores[0].pictures(shard: shard) {
            guard let picture = try producer.picture(index) else { break }
            for layer in stores.indices { maps[layer] += picture[layer] }
            timesteps += producer.timesteps
            drawn()
        }
        for (store, maps) in zip(stores, maps) where !store.has(shard: shard) {
            try store.write(shard: shard, maps: maps, timesteps: timesteps)
        }
    }
}
