import Foundation
import Synchronization

/// Whether the process was asked to end. SIGTERM, SIGINT and SIGUSR1 ask: a scheduler sends them some time before it
/// takes the machine away. Work looks at the flag between units (and between steps, where it can keep its place), and
/// then stops with exit code 75.
public final class StopFlag: Sendable {
    private let raised = Atomic<Bool>(false)
    private let isListening = Atomic<Bool>(false)

    /// A signal is a fact of the process, and its handler can refer to nothing else. Not a Dispatch source: that starts a
    /// thread, and waits for ever where the system has no room for one.
    private static let isSignalled = Atomic<Bool>(false)

    public init() {}

    public var isRaised: Bool {
        raised.load(ordering: .relaxed)
            || isListening.load(ordering: .relaxed) && Self.isSignalled.load(ordering: .relaxed)
    }

    /// - Throws: `StageRunner.stopped` once the flag is raised.
    public func check() throws { if isRaised { throw StageRunner.stopped } }

    public func raise() { raised.store(true, ordering: .relaxed) }

    /// From now on the signals raise the flag. A second SIGINT is let pass, as `timeout` sends two; a third ends the
    /// process as usual.
    public func listen() {
        Self.isSignalled.store(false, ordering: .relaxed)
        isListening.store(true, ordering: .relaxed)
        var signals = sigset_t()
        sigemptyset(&signals)
        for number in [SIGTERM, SIGINT, SIGUSR1] {
            sigaddset(&signals, number)
            signal(number) { number in
                let isRepeated = StopFlag.isSignalled.exchange(true, ordering: .relaxed)
                if number == SIGINT && isRepeated { signal(SIGINT, SIG_DFL) }
            }
        }
        // Whoever started this process may have had them blocked, which is inherited (Dispatch's threads block all).
        pthread_sigmask(SIG_UNBLOCK, &signals, nil)
    }
}
