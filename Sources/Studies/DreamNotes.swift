import Tensors
import Visualization

/// What is noted on the way of an optimization.
struct DreamNotes {
    /// Steps of the snapshots.
    private(set) var steps: [Int]
    /// Latents `[B, 4, h, w]`.
    private(set) var snapshots: [Tensor]
    /// `[result][step]`.
    private(set) var activations: [[Float]]
    /// `[result]`: whether the objective's gradient was ever zero everywhere.
    private(set) var wasFlat: [Bool]

    init(start: Tensor) {
        (steps, snapshots) = ([0], [start])
        activations = Array(repeating: [], count: start.shape[0])
        wasFlat = Array(repeating: false, count: start.shape[0])
    }

    mutating func add(_ step: DreamStep) {
        for index in activations.indices {
            activations[index].append(Float(step.activations[index]))
            wasFlat[index] = wasFlat[index] || step.isFlat[index]
        }
    }

    mutating func addSnapshot(_ latent: Tensor, step: Int) {
        steps.append(step)
        snapshots.append(latent)
    }

    /// As tensors, beside those of the run.
    var state: DreamState {
        let done = activations[0].count
        return [
            ("steps", Tensor([steps.count], steps.map { Float($0) })),
            ("snapshots", Tensor([snapshots.count] + snapshots[0].shape, snapshots.flatMap(\.array))),
            ("activations", Tensor([activations.count, done], activations.flatMap { $0 })),
            ("was_flat", Tensor([wasFlat.count], wasFlat.map { $0 ? 1 : 0 })),
        ]
    }

    /// Nil if these are not the tensors of `state`.
    init?(state: [String: Tensor]) {
        guard let steps = state["steps"]?.array, let snapshots = state["snapshots"], let activations = state["activations"],
            let wasFlat = state["was_flat"]?.array, snapshots.shape.count == 5, activations.shape.count == 2,
            snapshots.shape[0] == steps.count, snapshots.shape[1] == wasFlat.count, activations.shape[0] == wasFlat.count
        else { return nil }
        self.steps = steps.map { Int($0) }
        self.snapshots = steps.indices.map {
            snapshots.slice($0..<$0 + 1).reshaped(Array(snapshots.shape.dropFirst())).copy()
        }
        let (values, done) = (activations.array, activations.shape[1])
        self.activations = wasFlat.indices.map { Array(values[$0 * done..<($0 + 1) * done]) }
        self.wasFlat = wasFlat.map { $0 > 0 }
    }
}
