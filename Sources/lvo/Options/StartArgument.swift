import ArgumentParser

/// `--init`: where dreams start.
enum StartArgument: ExpressibleByArgument {
    case noise
    /// Of so many pictures; nil: as many as suit the size.
    case pool(Int?)
    case file(String)

    init?(argument: String) {
        let parts = argument.split(separator: ":", omittingEmptySubsequences: false)
        switch (argument, parts.first, parts.count) {
        case ("noise", _, _): self = .noise
        case ("pool", _, _): self = .pool(nil)
        case (_, "pool", 2):
            guard let count = Int(parts[1]) else { return nil }
            self = .pool(count)
        default: self = .file(argument)
        }
    }
}
