import Files
import Foundation
import Parallel
import WorkUnits

/// Worker processes side by side, each on its cores, until their common work is done. They share it by claims; this process
/// starts them, hears what they tell, replaces those that are killed, and ends them when it is asked to end.
final class WorkerFleet {
    private struct Worker {
        let group: CoreGroup
        var process: WorkerProcess?
        /// Times that it was started after its process had been killed.
        var replacements = 0
        /// The last line of standard error: the reason, if the process ends by it.
        var lastLine: String?
    }

    /// How many times each is replaced: who is killed for ever is not killed by chance.
    private static let mostReplacements = 3

    private let arguments: (Int) -> [String]
    private let stop: StopFlag
    private let hear: (_ worker: Int, JSON) -> Void
    private let say: (String) -> Void
    private let own = Machine().cpus
    private var workers: [Worker]
    private var said: Set<String> = []
    /// Codes of those that ended for good, nil for one that was killed too often, with their last lines.
    private var ends: [(code: Int32?, line: String)] = []
    private var mustEnd = false

    /// - Parameters:
    ///   - arguments: of each worker. Unless they name a number of threads, it gets its group's number of cores.
    ///   - hear: called for every JSON object that a worker prints on a line.
    ///   - say: called for lines for people, once for each text.
    init(
        groups: [CoreGroup], arguments: @escaping (Int) -> [String], stop: StopFlag, hear: @escaping (Int, JSON) -> Void,
        say: @escaping (String) -> Void
    ) {
        (self.arguments, self.stop, self.hear, self.say) = (arguments, stop, hear, say)
        workers = groups.map { Worker(group: $0) }
    }

    /// Returns when all are done, or have ended with `.internalError`, as for failed units.
    ///
    /// - Returns: the first such end.
    /// - Throws: `StageRunner.stopped` after a signal; a `Failure` of the kind that a worker ended with, if it concerns all;
    ///   `.internalError` or `.outOfMemory` if none is left.
    func run() throws -> SimpleFailure? {
        for index in workers.indices { try start(index) }
        while workers.contains(where: { $0.process != nil }) {
            if stop.isRaised { end() }
            for descriptor in ready() { read(descriptor) }
            for (index, worker) in workers.enumerated() where worker.process?.descriptors.isEmpty == true { reap(index) }
        }
        if stop.isRaised { throw StageRunner.stopped }
        if let fatal = ends.first(where: { $0.code.map(Self.concernsAll) ?? false }) { throw Self.failure(fatal) }
        let internalError = ends.first { $0.code == FailureKind.internalError.rawValue }
        if internalError == nil, !ends.contains(where: { $0.code == 0 }) {
            throw ends.last.map(Self.failure) ?? SimpleFailure(.internalError, "no worker could be started")
        }
        return internalError.map(Self.failure)
    }

    private func start(_ index: Int) throws {
        let (group, arguments) = (workers[index].group, arguments(index))
        let hasThreads = arguments.contains { $0 == "--threads" || $0.hasPrefix("--threads=") }
        let threads = hasThreads ? [] : ["--threads", "\(group.cores.count)"]
        workers[index].process = try WorkerProcess(arguments: arguments + threads, cpus: group.cpus, own: own)
        workers[index].lastLine = nil
    }

    /// Asks every worker to end; it keeps what it has.
    private func end() {
        if mustEnd { return }
        mustEnd = true
        for worker in workers { worker.process?.signal(SIGTERM) }
    }

    private func ready() -> [Int32] {
        let open = workers.flatMap { $0.process?.descriptors ?? [] }
        var entries = open.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        guard poll(&entries, nfds_t(entries.count), 200) > 0 else { return [] }
        return entries.filter { $0.revents != 0 }.map(\.fd)
    }

    private func read(_ descriptor: Int32) {
        guard let index = workers.firstIndex(where: { $0.process?.descriptors.contains(descriptor) == true }) else { return }
        workers[index].process?.read(descriptor) { channel, line in
            switch channel {
            case .output: (try? JSON.parse(line)).map { hear(index, $0) }
            case .errors:
                workers[index].lastLine.map(sayOnce)
                workers[index].lastLine = line
            }
        }
    }

    private func sayOnce(_ line: String) { if said.insert(line).inserted { say(line) } }

    private func reap(_ index: Int) {
        guard let end = workers[index].process?.wait() else { return }
        let line = workers[index].lastLine
        workers[index].process = nil
        switch end {
        case .signal(let number): replace(index, killedBy: number, line)
        case .code(let code):
            ends.append((code, line ?? "lvo: worker \(index) ended with code \(code)"))
            if code == 0 { line.map(sayOnce) }
            if code == FailureKind.outOfMemory.rawValue { sayOnce("lvo: worker \(index) has no memory; going on without it") }
            if Self.concernsAll(code) { self.end() }
        }
    }

    private func replace(_ index: Int, killedBy number: Int32, _ line: String?) {
        line.map(sayOnce)
        if mustEnd { return }
        let text = "worker \(index) was killed by signal \(number)"
        workers[index].replacements += 1
        let isReplaced = workers[index].replacements <= Self.mostReplacements && (try? start(index)) != nil
        say("lvo: \(text); \(isReplaced ? "another takes its place" : "going on without it")")
        if !isReplaced { ends.append((nil, "lvo: \(text)")) }
    }

    /// What every worker would end with.
    private static func concernsAll(_ code: Int32) -> Bool {
        guard let kind = FailureKind(rawValue: code) else { return false }
        return ![.internalError, .outOfMemory].contains(kind)
    }

    private static func failure(_ end: (code: Int32?, line: String)) -> SimpleFailure {
        let text = end.line.hasPrefix("lvo: ") ? String(end.line.dropFirst(5)) : end.line
        return SimpleFailure(end.code.flatMap(FailureKind.init) ?? .internalError, text)
    }
}
