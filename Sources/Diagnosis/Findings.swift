import Files
import Foundation
import Ops

/// What a person should know, in a sentence.
public struct Finding: Sendable, Equatable {
    /// How much it matters.
    public enum Level: String, Sendable {
        /// Results are wrong.
        case fault
        /// Something would be faster or is in the way.
        case advice
        /// What is used, and why.
        case fact
    }

    /// How much it matters.
    public let level: Level
    /// The sentence.
    public let text: String
}

extension Diagnosis {
    /// Faults first, then advice, then what is used.
    public var findings: [Finding] {
        func all(_ level: Finding.Level, _ texts: [String?]) -> [Finding] {
            texts.compactMap { text in text.map { Finding(level: level, text: $0) } }
        }
        return all(.fault, faults) + all(.advice, speedAdvice + machineAdvice) + all(.fact, facts)
    }

    private var faults: [String?] {
        let wrong = operations.filter { !$0.isRight }.map {
            "\($0.name) of \($0.instructionSet) in \($0.precision.rawValue) is wrong: error \($0.error.short), "
                + "expected at most \($0.bound.short)"
        }
        let gradients = gradients.filter { !$0.isRight }.map {
            $0.repeats
                ? "the gradient of \($0.instructionSet) in \($0.precision.rawValue) is wrong: error \($0.gradientError.short), "
                    + "expected at most \($0.bound.short)"
                : "\($0.instructionSet) in \($0.precision.rawValue) gives other bytes with other thread counts"
        }
        let sound = InstructionSet.supported.first { set in
            operations.allSatisfy { $0.instructionSet != set || $0.isRight }
                && self.gradients.allSatisfy { $0.instructionSet != set || $0.isRight }
        }
        let detour = sound.map { "until that is explained, LVO_ISA=\($0) computes right" }
        return wrong + gradients + [wrong.isEmpty && gradients.isEmpty ? nil : detour]
            + [pictureComesBack ? nil : "a PNG does not come back as it was written: is libpng damaged?"]
    }

    private func speed(_ set: String, _ precision: Precision) -> Double {
        tiles.first { $0.instructionSet == set && $0.precision == precision }?.gflops ?? 0
    }

    /// The processor's name for an instruction set that this program could use, when it cannot.
    private func unused(_ flag: Substring, _ set: String, _ reason: String) -> String? {
        host.flags.contains(flag) && !InstructionSet.supported.contains(set) ? reason : nil
    }

    private var speedAdvice: [String?] {
        let best = InstructionSet.supported[0]
        let gain = speed(best, .float32) / max(speed(usedSet, .float32), 1e-9)
        let bfloat16 = speed(usedSet, .bfloat16) / max(speed(usedSet, .float32), 1e-9)
        return [
            usedSet == best
                ? nil
                : "LVO_ISA is \(usedSet); \(best) multiplies \(times(gain)) as fast here: unset it",
            best == "baseline"
                ? "this CPU, or what runs it, offers no AVX2: any server since 2015 does several times as much" : nil,
            bfloat16 > 1.2
                ? "products in bfloat16 are \(times(bfloat16)) as fast as in float32: --precision auto takes them "
                    + "(docs/performance.md says what it does to results)" : nil,
            unused(
                "amx_tile", "amx", "the CPU has AMX, but the system does not let programs use it: Linux 5.16 is needed"),
            unused("avx512f", "avx512", "the CPU has AVX-512, but not all of what the kernels need of it"),
        ]
    }

    private var machineAdvice: [String?] {
        let (machine, count) = (host.machine, threads.threads)
        let isShared = count > 1 && threads.speedup < 0.8 * Double(count)
        let quota = machine.quota.map { $0.cpus < Double(count) } ?? false
        let free = machine.availableMemory ?? .max
        return [
            isShared
                ? "\(count) threads do the work of \(decimal(threads.speedup)): other processes use these cores, or they are "
                    + "hyper-threads of each other" : nil,
            quota ? "the control group's quota (\(machine.quota?.file ?? "")) is less than the \(count) threads" : nil,
            count > machine.cores.count
                ? "LVO_THREADS asks for \(count) threads on \(machine.cores.count) physical cores" : nil,
            free < 3_000_000_000
                ? "\(gigabytes(free)) of memory are free: a dream on Stable Diffusion 1.5 takes about 2.5 GB, a study 2.9"
                : nil,
            host.hugePagesMode == "never"
                ? "transparent huge pages are off: `echo madvise > /sys/kernel/mm/transparent_hugepage/enabled` as root"
                : nil,
            machine.domains.count > 1
                ? "\(machine.domains.count) memory domains: one process in each (numactl --cpunodebind=N --membind=N) does "
                    + "more than one over all" : nil,
        ]
    }

    private var facts: [String?] {
        let machine = host.machine
        let cores = machine.cores.count == machine.cpus.count ? "" : " of \(machine.cpus.count) hyper-threads"
        let huge = host.hugePagesShare.map { ", \(Int(100 * $0)) % of a large block in huge pages" } ?? ""
        return [
            "\(host.processor): \(machine.cores.count) cores\(cores) in \(machine.domains.count) memory "
                + "domain\(machine.domains.count == 1 ? "" : "s")",
            "used: \(usedSet)\(forcedSet == nil ? "" : " (LVO_ISA)"), \(threads.threads) threads (\(host.threads.reason)); "
                + "\(decimal(speed(usedSet, .float32) * threads.speedup)) GFLOP/s in float32, "
                + "\(decimal(speed(usedSet, .bfloat16) * threads.speedup)) in bfloat16, "
                + "\(decimal(threads.gigabytesPerSecond)) GB/s of memory",
            machine.availableMemory.map { "memory: \(gigabytes($0)) free\(limit)\(huge)" },
        ]
    }

    private var limit: String {
        host.machine.memoryLimit.map { " within \(gigabytes($0.bytes)) (\($0.file))" } ?? ""
    }

    private func times(_ ratio: Double) -> String { String(format: "%.1f times", ratio) }
    private func decimal(_ value: Double) -> String { String(format: value < 10 ? "%.1f" : "%.0f", value) }
    private func gigabytes(_ bytes: Int) -> String { String(format: "%.1f GB", Double(bytes) / 1e9) }
}
