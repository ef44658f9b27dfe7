import ArgumentParser
import Files

/// A seed, or -1 for one that is drawn when the command line is read, from as many as the web interfaces know.
struct SeedArgument: ExpressibleByArgument, CustomStringConvertible {
    let number: UInt64
    let isDrawn: Bool

    var description: String { "\(number)" }

    init(_ number: UInt64, isDrawn: Bool = false) { (self.number, self.isDrawn) = (number, isDrawn) }

    init?(argument: String) {
        if argument == Self.drawn {
            self.init(.random(in: 0...UInt64(UInt32.max)), isDrawn: true)
        } else if let number = UInt64(argument) {
            self.init(number)
        } else {
            return nil
        }
    }

    private static let drawn = "-1"

    /// The number; one that was drawn is told on standard error, so that the command can be repeated.
    @discardableResult func value() -> UInt64 {
        if isDrawn { note("seed \(number)") }
        return number
    }

    /// The arguments with `--seed -1` as `--seed=-1`, for options of several values: ArgumentParser takes a value that
    /// begins with a hyphen for an option there.
    static func attached(_ arguments: [String]) -> [String] {
        var result: [String] = []
        for argument in arguments {
            if argument == drawn, result.last == "--seed" {
                result[result.count - 1] = "--seed=" + drawn
            } else if argument == drawn, result.last == "--seed=" + drawn {
                result.append("--seed=" + drawn)
            } else {
                result.append(argument)
            }
        }
        return result
    }
}
