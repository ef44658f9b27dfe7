import Files
import Foundation
import Synchronization

/// What a handle points to: something that calls take turns with, until it is closed.
final class Box<Content>: @unchecked Sendable {
    private let name: String
    private let process = getpid()
    private let lock = NSLock()
    /// Whose turn it is: its thread, or 0.
    private let owner = Atomic<UInt>(0)
    private let cancellations = Atomic<Int>(0)
    /// Read and written by whose turn it is.
    private var content: Content?

    /// - Parameter name: what it is, for messages.
    init(_ name: String, _ content: Content) { (self.name, self.content) = (name, content) }

    /// Waits for a turn.
    ///
    /// - Throws: `Refusal` with `.closed`, `.forked`, `.cancelled` while it waited, or from a callback of the call at work.
    func take<Result>(_ body: (Content, Turn) throws -> Result) throws -> Result {
        let turn = Turn(cancellations: self)
        return try alone {
            guard let content else { throw Refusal(.closed, "the \(name) is closed") }
            try turn.check()
            return try body(content, turn)
        }
    }

    /// Lets go of the content after the call that runs.
    func close() throws { try alone { content = nil } }

    /// Ends the calls that run or wait.
    func cancel() throws {
        try checkProcess()
        cancellations.add(1, ordering: .relaxed)
    }

    private func alone<Result>(_ body: () throws -> Result) throws -> Result {
        try checkProcess()
        let thread = UInt(pthread_self())
        if owner.load(ordering: .relaxed) == thread {
            throw Refusal("a callback calls the \(name) that is at work; call it after the callback has returned")
        }
        lock.lock()
        owner.store(thread, ordering: .relaxed)
        defer {
            owner.store(0, ordering: .relaxed)
            lock.unlock()
        }
        return try body()
    }

    private func checkProcess() throws {
        if isForked { throw Refusal(.forked, "the \(name) was made before a fork; make another in this process") }
    }

    fileprivate var isForked: Bool { process != getpid() }
    fileprivate var cancelled: Int { cancellations.load(ordering: .relaxed) }
}

/// A call's turn: knows whether the call was cancelled since it began to wait.
struct Turn {
    private let count: () -> Int
    private let seen: Int

    fileprivate init<Content>(cancellations box: Box<Content>) {
        count = { box.cancelled }
        seen = box.cancelled
    }

    /// - Throws: `Refusal(.cancelled)`.
    func check() throws {
        if count() != seen { throw Refusal(.cancelled, "cancelled") }
    }
}

extension Box {
    /// A pointer for the caller, who owns it now.
    var handle: OpaquePointer { OpaquePointer(Unmanaged.passRetained(self).toOpaque()) }

    /// - Throws: `Refusal` for NULL.
    static func of(_ handle: OpaquePointer?, _ name: String) throws -> Box {
        guard let handle else { throw Refusal("\(name): expected a handle, found NULL") }
        return Unmanaged<Box>.fromOpaque(UnsafeRawPointer(handle)).takeUnretainedValue()
    }

    /// Takes a handle back. In a child after a fork its memory is left alone: the threads that would have to end do not exist
    /// there, and locks may be held by nobody.
    static func free(_ handle: OpaquePointer?) {
        guard let handle else { return }
        let box = Unmanaged<Box>.fromOpaque(UnsafeRawPointer(handle))
        if !box.takeUnretainedValue().isForked { box.release() }
    }
}
