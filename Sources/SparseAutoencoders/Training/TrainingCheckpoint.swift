import Checkpoints
import Files
import Tensors

/// A run's checkpoint: one safetensors file, so that it is there whole or not at all.
struct TrainingCheckpoint {
    let path: String
    let store: WeightStore
    let step: Int
    let source: SourceState
    let metricsLengths: [Int]
    private let settings: JSON

    init(path: String) throws {
        self.path = path
        let file = try SafetensorsFile(path: path)
        guard let text = file.metadata["state"], let json = try? JSON.parse(text), let step = json["step"]?.int,
            let settings = json["settings"], let lengths = json["metrics"]?.array?.compactMap(\.int),
            (1...1 << 48).contains(step), lengths.count == 2, lengths.allSatisfy({ $0 >= 0 })
        else {
            throw FileFailure.malformed(file: path, reason: "no training state in its metadata")
        }
        (self.step, self.settings, metricsLengths) = (step, settings, lengths)
        let prefix = "source."
        let fromSource = file.weights.filter { $0.name.hasPrefix(prefix) }
        source = SourceState(
            json: json["source"] ?? .null,
            tensors: fromSource.map { (String($0.name.dropFirst(prefix.count)), Tensor($0.shape, $0.floats())) })
        store = try WeightStore(file: path, weights: file.weights.filter { !$0.name.hasPrefix(prefix) })
    }

    /// - Throws: `SimpleFailure(.usage)` naming the first setting that is not the same.
    func check(_ expected: JSON) throws {
        if let (key, found, wanted) = settings.difference(from: expected) {
            throw SimpleFailure(
                .usage, "\(path): the run there has \(key) \(found), not \(wanted); give the same settings to go on, or "
                    + "another folder")
        }
    }

    static func write(
        _ trainer: SAETrainer, source: SourceState, settings: JSON, metricsLengths: [Int], to path: String
    ) throws {
        let state: JSON = [
            "step": .integer(trainer.step), "settings": settings, "source": source.json,
            "metrics": .array(metricsLengths.map { .integer($0) }),
        ]
        let weights = trainer.state + source.tensors.map { Weight(name: "source.\($0.name)", tensor: $0.tensor) }
        try SafetensorsWriter.write(weights, metadata: ["state": state.serialized()], to: path, overwrite: true)
    }
}
