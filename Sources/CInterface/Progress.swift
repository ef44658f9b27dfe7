import CLVO
import Files

/// A caller's callback.
struct Progress {
    let function: lvo_progress?
    let user: UnsafeMutableRawPointer?

    /// - Throws: `Refusal(.cancelled)` if the callback wants an end.
    func report(_ done: Int, of total: Int, _ json: @autoclosure () -> JSON) throws {
        guard let function else { return }
        let answer = json().serialized().withCString { function(user, Int64(done), Int64(total), $0) }
        if answer != 0 { throw Refusal(.cancelled, "cancelled by the callback") }
    }
}
