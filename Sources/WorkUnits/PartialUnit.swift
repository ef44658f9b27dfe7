import Files
import Foundation

/// The half-done result of a unit, for units that take longer than a machine waits after a signal.
///
/// It is a result of its own under `partial/STAGE/`, with the unit's key and checksums: whole or not there, and worthless
/// once settings change. A computation that goes on from it writes the bytes that it would have written at once.
public struct PartialUnit {
    private let unit: WorkUnit<Void>
    private let store: UnitStore
    private let stop: StopFlag

    static let stage = "partial"

    public init(study: String, stage: String, unit: WorkUnit<some Sendable>, stop: StopFlag = StopFlag()) {
        self.unit = WorkUnit(id: "\(stage)/\(unit.id)", key: unit.key, payload: ())
        self.stop = stop
        store = UnitStore(study: study, stage: Self.stage)
    }

    /// Folder with what an attempt before this one kept; nil without one.
    public var kept: String? { store.state(of: unit) == .done ? store.folder(unit.id) : nil }

    /// Whether the process was asked to end.
    public var mustStop: Bool { stop.isRaised }

    /// - Throws: `SimpleFailure(.stoppedEarly)` if the process was asked to end.
    public func check() throws { if mustStop { throw StageRunner.stopped } }

    /// Writes files for the next attempt, in place of what was kept.
    ///
    /// - Throws: what `write` throws; `SimpleFailure(.cannotWrite)`.
    public func keep(_ write: (_ folder: String) throws -> Void) throws { try store.produce(unit, compute: write) }

    /// The unit is done: nothing need be kept.
    package func remove() {
        guard FileSystem.isFolder("\(store.study)/\(Self.stage)") else { return }
        try? FileManager.default.removeItem(atPath: store.folder(unit.id))
        removeEmptyFolders()
    }

    /// Folders above the unit's that have nothing left in them.
    private func removeEmptyFolders() {
        var parent = FileSystem.parent(store.folder(unit.id))
        while parent.count > store.study.count, rmdir(parent) == 0 {
            parent = FileSystem.parent(parent)
        }
    }
}
