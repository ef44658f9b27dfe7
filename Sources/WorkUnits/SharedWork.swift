import Foundation

/// Work that several processes share by their claims.
package enum SharedWork {
    /// Offers every unit to `attempt` until it is dealt with. Those that other processes are at are offered again later.
    ///
    /// - Parameters:
    ///   - wait: called with how many units others are at, before they are offered again.
    ///   - attempt: whether the unit is dealt with: done here or by another process. False if another is at it.
    /// - Throws: what the closures throw.
    package static func run<Unit>(
        _ units: [Unit], wait: (_ taken: Int) throws -> Void, attempt: (Unit) throws -> Bool
    ) throws {
        var left = units
        while !left.isEmpty {
            left = try left.filter { try !attempt($0) }
            if !left.isEmpty { try wait(left.count) }
        }
    }

    /// The moment between two looks at what other processes have done.
    ///
    /// - Parameter check: asked meanwhile whether to go on; what it throws ends the pause.
    package static func pause(_ check: () throws -> Void) throws {
        for _ in 0..<10 {
            try check()
            Thread.sleep(forTimeInterval: 0.1)
        }
    }
}
