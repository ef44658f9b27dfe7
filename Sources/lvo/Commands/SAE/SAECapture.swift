import ArgumentParser
import Foundation
import Ops
import SparseAutoencoders
import StableDiffusion
import Studies
import Tensors

struct SAECapture: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "capture", abstract: "Store a model's activations for `lvo sae train --activations`.",
        discussion: """
            Writes half-precision shards with checksums into STORE/LAYER. The size is printed first; --dry-run ends \
            there. Run the same command again to go on after a stop: complete shards are kept.
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

    func run() throws {
        let stop = StopFlag()
        let signals = stop.listen()
        defer { withExtendedLifetime(signals) {} }
        let engine = try runtime.engine()
        let count = try count ?? Prompt.read(pictures.prompts ?? "").count
        let producer = try pictures.activations(seed: seed, limit: count, engine: engine) {
            if stop.isRaised { throw Stopped() }
        }
        printSize(producer, count)
        if dryRun { return }
        let stores = try producer.layers.map {
            try ActivationStore(
                folder: "\(store)/\($0.name)", layer: $0.name, width: $0.width, positions: $0.positions,
                picturesPerShard: shard)
        }
        let first = stores.map(\.shardCount).min() ?? 0
        for index in first..<(count + shard - 1) / shard {
            try write(index, index * shard..<min(count, (index + 1) * shard), producer, stores)
            print("shard \(index + 1) of \((count + shard - 1) / shard)")
        }
    }

    private func printSize(_ producer: GeneratedActivations, _ count: Int) {
        for layer in producer.layers {
            let bytes = count * producer.mapsPerPicture * layer.positions * layer.width * 2
            print(
                String(
                    format: "%@: %d pictures × %d steps × %d positions × %d channels: %.2f GB", layer.name, count,
                    producer.mapsPerPicture, layer.positions, layer.width, Double(bytes) / 1e9))
        }
    }

    private func write(
        _ shard: Int, _ range: Range<Int>, _ producer: GeneratedActivations, _ stores: [ActivationStore]
    ) throws {
        var maps = [[Tensor]](repeating: [], count: stores.count)
        var timesteps: [Int] = []
        for index in range {
            guard let picture = try producer.picture(index) else { break }
            for layer in stores.indices { maps[layer] += picture[layer] }
            timesteps += producer.timesteps
        }
        for (store, maps) in zip(stores, maps) where shard >= store.shardCount {
            try store.write(shard: shard, maps: maps, timesteps: timesteps)
        }
    }
}
