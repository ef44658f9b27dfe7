import Dispatch
import Foundation
import Synchronization

/// Whether the process was asked to end. SIGTERM, SIGINT and SIGUSR1 ask: a scheduler sends them some time before it
/// takes the machine away. Work looks at the flag between units (and between steps, where it can keep its place), and
/// then stops with exit code 75.
public final class StopFlag: Sendable {
    private let raised = Atomic<Bool>(false)

    public init() {}

    public var isRaised: Bool { raised.load(ordering: .relaxed) }

    /// - Throws: `StageRunner.stopped` once the flag is raised.
    public func check() throws { if isRaised { throw StageRunner.stopped } }

    public func raise() { raised.store(true, ordering: .relaxed) }

    /// From now on the signals raise the flag; one more SIGINT after that ends the process as usual.
    /// The sources must be kept as long as the signals shall be heard.
    public func listen() -> [any DispatchSourceSignal] {
        [SIGTERM, SIGINT, SIGUSR1].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler { [self] in
                if number == SIGINT && isRaised { signal(SIGINT, SIG_DFL) }
                raise()
            }
            source.resume()
            return source
        }
    }
}
