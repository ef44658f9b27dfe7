/// What went wrong, as the process's exit code tells it (sysexits.h numbers, so that schedulers can act on them).
public enum FailureKind: Int32, Sendable {
    case usage = 2
    case badData = 65
    case missingInput = 66
    case internalError = 70
    case outOfMemory = 71
    case cannotWrite = 73
    /// Stopped before the end by a signal; running the same command again continues.
    case stoppedEarly = 75
}

/// An error meant for a person: its description is one line that names what, where, expected, found, and what to do.
public protocol Failure: Error, CustomStringConvertible, Sendable {
    var kind: FailureKind { get }
}

/// A `Failure` without further structure.
public struct SimpleFailure: Failure {
    /// What the process's exit code tells of it.
    public let kind: FailureKind
    /// The line for a person.
    public let description: String

    /// - Parameter description: one line that names what, where, expected, found, and what to do.
    public init(_ kind: FailureKind, _ description: String) {
        self.kind = kind
        self.description = description
    }
}
