import Experiments
import Files
import Ops

extension Diagnosis {
    /// Names a file as one of these reports.
    public static let kind = "lvo doctor"

    /// Everything, for programs: errors, bounds, speeds, the machine, and the findings.
    ///
    /// - Parameters:
    ///   - host: the machine's name.
    ///   - benchmarks: results of `lvo bench`, if it was run; nil leaves them out.
    public func json(host name: String, benchmarks: [JSON]? = nil) -> JSON {
        var object: [(String, JSON)] = [
            ("report", .string(Self.kind)), ("version", .string(Release.version)), ("host", .string(name)),
            ("sound", .bool(isSound)),
            ("findings", .array(findings.map { ["level": .string($0.level.rawValue), "text": .string($0.text)] })),
            ("machine", machine),
            ("instruction_sets", .array(InstructionSet.supported.map(JSON.string))), ("used", .string(usedSet)),
            ("threads", .integer(threads.threads)), ("thread_speedup", .number(threads.speedup)),
            ("memory_gigabytes_per_second", .number(threads.gigabytesPerSecond)),
            ("tiles", .array(tiles.map(json))), ("gradients", .array(gradients.map(json))),
            ("operations", .array(operations.map(json))), ("png", .bool(pictureComesBack)),
        ]
        if let benchmarks { object.append(("benchmarks", .array(benchmarks))) }
        return JSON(object)
    }

    private var machine: JSON {
        let machine = host.machine
        return [
            "processor": .string(host.processor), "cpus": .integer(machine.cpus.count),
            "cores": .integer(machine.cores.count), "domains": .integer(machine.domains.count),
            "shared_caches": .integer(machine.sharedCaches.count),
            "quota_cpus": machine.quota.map { .number($0.cpus) } ?? .null,
            "memory_limit_bytes": machine.memoryLimit.map { .integer($0.bytes) } ?? .null,
            "memory_available_bytes": machine.availableMemory.map(JSON.integer) ?? .null,
            "huge_pages": host.hugePagesMode.map(JSON.string) ?? .null,
            "huge_pages_share": host.hugePagesShare.map(JSON.number) ?? .null,
        ]
    }

    private func json(_ tile: TileSpeed) -> JSON {
        [
            "set": .string(tile.instructionSet), "precision": .string(tile.precision.rawValue),
            "gflops_per_thread": .number(tile.gflops),
        ]
    }

    private func json(_ result: StoredGradient.Result) -> JSON {
        [
            "set": .string(result.instructionSet), "precision": .string(result.precision.rawValue),
            "gradient_error": number(result.gradientError), "cosine": number(result.cosine),
            "prediction_error": number(result.predictionError), "bound": .number(result.bound),
            "repeats": .bool(result.repeats), "seconds": .number(result.seconds), "right": .bool(result.isRight),
        ]
    }

    private func json(_ result: OperationCheck.Result) -> JSON {
        [
            "set": .string(result.instructionSet), "precision": .string(result.precision.rawValue),
            "name": .string(result.name), "error": number(result.error), "bound": .number(result.bound),
            "right": .bool(result.isRight),
        ]
    }

    /// JSON has no infinity.
    private func number(_ value: Double) -> JSON { value.isFinite ? .number(value) : .null }
}
