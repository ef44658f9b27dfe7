import ArgumentParser
import Files
import Foundation
import Parallel

/// Processes that share a command's work on this machine.
struct WorkersOption: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            """
            Processes that share the work on this machine, each on cores of its own: a number, or auto, one for each memory \
            domain, or several of at most \(WorkersOption.mostCores) cores.
            """, valueName: "auto|n"))
    var workers: WorkerCount?

    @Flag(help: ArgumentHelp("Tell the process that started this one what happens.", visibility: .private))
    var worker = false

    /// Cores of a worker that `auto` starts. A process uses four fifths of 16, and less of more: docs/performance.md.
    static let mostCores = 16

    func validate() throws {
        if workers != nil, worker { throw ValidationError("--workers and --worker exclude each other") }
    }

    /// The workers' cores; nil if this process does the work itself.
    ///
    /// - Parameters:
    ///   - most: how many have something to do.
    ///   - memory: bytes that a worker takes, if that is known: `auto` starts no more than have room.
    func groups(
        most: Int = .max, memory: @autoclosure () throws -> Int?, machine: Machine = Machine()
    ) rethrows -> [CoreGroup]? {
        let limit = min(
            machine.cores.count, ThreadCount.detect(environment: RuntimeOptions.environment, machine: machine).count)
        switch workers {
        case nil: return nil
        case .count(let count): return machine.coreGroups(count: min(count, most), limit: limit)
        case .auto:
            let groups = machine.coreGroups(largest: Self.mostCores, limit: limit)
            let room = try memory().flatMap { bytes in machine.availableMemory.map { max(1, $0 / max(1, bytes)) } } ?? .max
            if room < groups.count { note("there is memory for \(room) of \(groups.count) workers") }
            let count = min(room, most)
            let fitting = count < groups.count ? machine.coreGroups(count: count, limit: limit) : groups
            return fitting.count > 1 ? fitting : nil
        }
    }

    /// Flags that are not for workers, or that they get in any case.
    private static let own = ["--json", "--preview", "--pin", "--overwrite"]

    /// This command's arguments as its workers get them.
    ///
    /// - Parameter more: options of one worker.
    static func arguments(_ more: [String] = []) -> [String] {
        var arguments: [String] = []
        var rest = CommandLine.arguments.dropFirst()
        while let argument = rest.popFirst() {
            if argument == "--workers" {
                rest = rest.dropFirst()
            } else if !argument.hasPrefix("--workers="), !Self.own.contains(argument) {
                arguments.append(argument)
            }
        }
        return arguments + ["--worker", "--pin"] + more
    }

    /// What a worker does first: it ends with the process that started it.
    func begin() { if worker { Affinity.followParent(signal: SIGTERM) } }
}

/// What `--workers` may be.
enum WorkerCount: ExpressibleByArgument, Equatable {
    case auto
    case count(Int)

    private static let most = 1024

    init?(argument: String) {
        if argument == "auto" {
            self = .auto
        } else {
            guard let count = Int(argument), (1...Self.most).contains(count) else { return nil }
            self = .count(count)
        }
    }
}
