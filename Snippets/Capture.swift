// Activations of a layer while pictures are drawn, stored for training and evaluation.
import Foundation
import LVO

let engine = try Engine()
let generator = try Generator(ModelFolder(EmbeddedModel.model()), engine: engine)
let prompts = try Prompt.evenly(Prompt.read(EmbeddedModel.prompts()), limit: 4)

var parameters = GenerationParameters()
parameters.steps = 5
let pictures = try GeneratedActivations(
    generator, layers: [EmbeddedModel.layer], prompts: prompts, parameters: parameters, seed: 1, limit: prompts.count)

let layer = pictures.layers[0]
let folder = NSTemporaryDirectory() + "captured-\(ProcessInfo.processInfo.processIdentifier)"
let store = try ActivationStore(
    folder: folder, layer: layer.name, width: layer.width, positions: layer.positions, pictures: prompts.count,
    picturesPerShard: 2, origin: pictures.origin)
for shard in 0..<store.shardsInAll {
    let drawn = try store.pictures(shard: shard).compactMap { index in
        try pictures.picture(index).map { (maps: $0[0], timesteps: pictures.timesteps) }
    }
    try store.write(shard: shard, maps: drawn.flatMap(\.maps), timesteps: drawn.flatMap(\.timesteps))
}
print("\(folder): \(store.shardCount) shards of \(layer.name), \(layer.positions) positions × \(layer.width) channels")
try FileManager.default.removeItem(atPath: folder)
