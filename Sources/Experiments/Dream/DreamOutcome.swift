import Files
import Ops
import Parallel
import StableDiffusion
import Tensors
import Visualization

/// The results of a batch.
public struct DreamOutcome: Sendable {
    /// Final latents `[B, C, h, w]`, in the order of the items.
    public let latents: Tensor
    /// Steps and latents `[B, C, h, w]` of the snapshots, the start first and the end last.
    public let snapshots: [DreamSnapshot]
    /// In the order of the items.
    public let records: [DreamRecord]
}

/// The latents after some step.
public struct DreamSnapshot: Sendable {
    /// Steps done.
    public let step: Int
    /// The batch after that step, `[B, 4, h, w]`.
    public let latents: Tensor
}

/// A batch just after a step.
public struct DreamMoment {
    /// The step that was made: its index, activations and losses.
    public let step: DreamStep
    /// Set at the request's interval, except after the last step.
    public let snapshot: DreamSnapshot?
    /// The state to continue from.
    public let state: () -> DreamState
}

extension DreamExperiment {
    /// Runs one of `batches`.
    ///
    /// - Parameters:
    ///   - snapshotEvery: steps between snapshots; nil: start and end only.
    ///   - state: the state at which an earlier attempt was stopped; anything else is ignored.
    ///   - observe: called after every step; may throw to stop.
    ///   - check: called while a pool is searched for starts; may throw to stop.
    /// - Throws: a `Failure` for a part of the model that cannot be loaded; what `check` and `observe` throw.
    public func run(
        _ items: [DreamItem], snapshotEvery: Int? = nil, state: [String: Tensor]? = nil,
        observe: (DreamMoment) throws -> Void = { _ in }, check: () throws -> Void = {}
    ) throws -> DreamOutcome {
        let clock = ContinuousClock()
        let begin = clock.now
        func seconds() -> Double { (clock.now - begin) / .seconds(1) }
        let (dreamer, timestep) = (try dreamer(), items[0].timestep)
        let starts = try self.starts(items, dreamer: dreamer, check: check)
        let start = Self.joined(starts.map(\.latent))
        let objectives = items.map(objective)
        var course = DreamCourse(
            run: try dreamer.run(
                start: start, objectives: objectives, timestep: timestep, seeds: items.map(seed),
                settings: request.settings))
        if let state { course.restore(state) }
        while let step = course.run.next() {
            let snapshot = course.note(step, seconds: seconds(), snapshotEvery: snapshotEvery)
            try observe(DreamMoment(step: step, snapshot: snapshot) { [course] in course.state })
        }
        course.end()
        let (latents, run) = (course.run.latent, course.run)
        let before = try dreamer.measure(start, objectives: objectives, timestep: timestep)
        let after = try dreamer.measure(latents, objectives: objectives, timestep: timestep)
        let runtime = runtime(seconds: seconds(), batch: items.count)
        let records = items.enumerated().map { index, item in
            let group = request.settings.coupling == .coupled ? 0 : index
            return DreamRecord(
                description: description(item), startActivation: before[index], finalActivation: after[index],
                poolIndex: starts[index].poolIndex,
                divergedAt: run.divergedAt[group], history: course.history.json(latent: index, group: group),
                times: course.history.times, runtime: runtime)
        }
        return DreamOutcome(latents: latents, snapshots: course.snapshots, records: records)
    }

    /// The layer under the request's text, for the largest batch.
    private func dreamer() throws -> Dreamer {
        let batch = batches.map(\.count).max() ?? 1
        let latents = LatentSize(batch: batch, height: size.height, width: size.width)
        return try session.dreamer(hook, text: request.text, size: latents, whole: request.needsWholeUNet)
    }

    private func runtime(seconds: Double, batch: Int) -> JSON {
        [
            "seconds": .number(seconds), "batch": .integer(batch), "threads": .integer(session.engine.threads.count),
            "instruction_set": .string(session.engine.kernels.instructionSet),
            "peak_memory_bytes": Machine.peakMemory.map { .integer($0) } ?? .null,
        ]
    }

    private static func joined(_ parts: [Tensor]) -> Tensor {
        Tensor([parts.count] + parts[0].shape[1...], parts.flatMap(\.array))
    }
}

/// A run with the history of its steps.
private struct DreamCourse {
    var run: DreamRun
    private(set) var history = DreamHistory()
    private(set) var snapshots: [DreamSnapshot]

    init(run: DreamRun) {
        self.run = run
        snapshots = [DreamSnapshot(step: 0, latents: run.latent)]
    }

    mutating func note(_ step: DreamStep, seconds: Double, snapshotEvery: Int?) -> DreamSnapshot? {
        history.append(step, seconds: seconds)
        guard let snapshotEvery, run.stepsDone % snapshotEvery == 0, !run.isFinished else { return nil }
        let snapshot = DreamSnapshot(step: run.stepsDone, latents: run.latent)
        snapshots.append(snapshot)
        return snapshot
    }

    mutating func end() { snapshots.append(DreamSnapshot(step: run.stepsDone, latents: run.latent)) }

    var state: DreamState {
        let (steps, shape) = (snapshots.map { Float($0.step) }, run.latent.shape)
        return run.state + history.state + [
            ("snapshot_steps", Tensor([steps.count], steps)),
            ("snapshots", Tensor([steps.count] + shape, snapshots.flatMap(\.latents.array))),
        ]
    }

    /// Continues from another course's `state`; if it is none, nothing changes.
    mutating func restore(_ state: [String: Tensor]) {
        var restored = run
        guard restored.restore(state), let history = DreamHistory(state: state, steps: restored.stepsDone),
            let steps = state["snapshot_steps"]?.array, let latents = state["snapshots"],
            latents.shape == [steps.count] + run.latent.shape
        else { return }
        (run, self.history) = (restored, history)
        snapshots = steps.enumerated().map { index, step in
            DreamSnapshot(
                step: Int(step), latents: latents.slice(index..<index + 1).reshaped(restored.latent.shape).copy())
        }
    }
}
