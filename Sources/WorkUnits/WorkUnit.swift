import Files

/// A piece of a stage's work with a result of its own.
public struct WorkUnit<Payload: Sendable>: Sendable {
    /// Path of the result under the stage's folder, such as `up_blocks.1.attentions.1/features/00742/t0301`.
    public let id: String
    /// Everything the result depends on. Its fingerprint decides whether a result that is there still counts.
    public let key: JSON
    /// What the stage knows about the unit, for computing it.
    public let payload: Payload

    public init(id: String, key: JSON, payload: Payload) {
        self.id = id
        self.key = key
        self.payload = payload
    }

    public var fingerprint: String { Fingerprint.of(key) }
}

/// A stage: which units of work it has, and how one is computed.
public protocol WorkStage<Payload> {
    /// What a unit is about.
    associatedtype Payload: Sendable

    /// Name of the stage and of its folder.
    var name: String { get }

    /// Whether shards divide the units. Where they do not, any process does what is missing: such units are few.
    var isSharded: Bool { get }

    /// All units in an order that depends on settings and inputs alone.
    ///
    /// - Throws: `SimpleFailure(.stoppedEarly)` if earlier stages' results that decide it are not there yet.
    func units() throws -> [WorkUnit<Payload>]

    /// Computes a unit and writes its files into `folder`. What it writes may depend on nothing but the unit's key.
    ///
    /// - Parameter partial: where long units keep what is done when the process is asked to end.
    /// - Throws: a `Failure`; `.stoppedEarly` when that ended it between steps.
    func compute(_ unit: WorkUnit<Payload>, into folder: String, partial: PartialUnit) throws
}

extension WorkStage {
    public var isSharded: Bool { true }
}
