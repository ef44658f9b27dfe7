import Files

/// The record of one result: everything it depends on, its measures, and the history of its steps.
/// `lvo dream` writes it beside the picture, a study keeps one per seed; the same request gives the same
/// record.
public struct DreamRecord: Sendable {
    /// Everything that the result depends on, with the command that repeats it.
    public let description: JSON
    /// a(z) of start and result by `Dreamer.measure`.
    public let startActivation: Double
    /// See `startActivation`.
    public let finalActivation: Double
    /// Which picture of the model's pool it started from, if it did: `startActivation` is what that picture had by itself.
    public let poolIndex: Int?
    /// The step at which a number became NaN or infinite; the result is the latent before it.
    public let divergedAt: Int?
    /// Per quantity, a number per step.
    public let history: JSON
    /// Seconds since the batch began at each step, and what it ran on.
    public let times: JSON
    /// Program, instruction set and threads; differs from machine to machine.
    public let runtime: JSON

    /// `times` and `runtime` are written by `json(timed: true)` alone.
    public init(
        description: JSON, startActivation: Double, finalActivation: Double, poolIndex: Int? = nil,
        divergedAt: Int? = nil, history: JSON,
        times: JSON = .null, runtime: JSON = .null
    ) {
        (self.description, self.startActivation, self.finalActivation) = (description, startActivation, finalActivation)
        (self.poolIndex, self.divergedAt) = (poolIndex, divergedAt)
        (self.history, self.times, self.runtime) = (history, times, runtime)
    }

    /// - Parameter timed: with `runtime` and `history.seconds`, which differ from run to run; else the same
    ///   request has the same bytes.
    public func json(timed: Bool) -> JSON {
        var record = description.object ?? JSONObject()
        record["start_activation"] = .float(Float(startActivation))
        record["final_activation"] = .float(Float(finalActivation))
        record["pool_index"] = poolIndex.map { .integer($0) }
        record["diverged_at"] = divergedAt.map { .integer($0) } ?? .null
        var history = history.object ?? JSONObject()
        if timed { history["seconds"] = times }
        record["history"] = .object(history)
        if timed { record["runtime"] = runtime }
        return .object(record)
    }
}
