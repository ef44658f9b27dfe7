import Diagnosis
import Files
import Ops
import Parallel
import TestSupport
import Testing

@Suite struct FindingTests {
    private func findings(
        _ files: [String: String] = [:], environment: [String: String] = [:], operations: [OperationCheck.Result] = []
    ) throws -> [Finding] {
        let folder = try TemporaryFolder()
        for (path, text) in files {
            let file = folder.file(path)
            try OutputFile.makeFolder(FileSystem.parent(file))
            try OutputFile.write(text.utf8, to: file, overwrite: false)
        }
        let host = HostFacts(environment: environment, tree: SystemTree(root: folder.path))
        return try Diagnosis(host: host, operations: operations, threads: ThreadSpeed(Engine(threads: 1))).findings
    }

    @Test func aWrongOperationIsAFaultThatNamesTheSetAndADetour() throws {
        let engine = try Engine(instructionSet: "baseline", threads: 1)
        let wrong = OperationCheck("linear", bound: 1e-6, expected: [1]) { _ in [2] }.result(engine)
        let faults = try findings(operations: [wrong]).filter { $0.level == .fault }.map(\.text)
        #expect(faults.first == "linear of baseline in f32 is wrong: error 1.0e+00, expected at most 1.0e-06")
        if InstructionSet.supported.count > 1 {
            #expect(faults.last?.contains("LVO_ISA=\(InstructionSet.supported[0])") == true)
        }
        #expect(try findings().allSatisfy { $0.level != .fault })
    }

    @Test func scarceMemoryHugePagesAndDomainsAreTold() throws {
        let advice = try findings([
            "/proc/self/status": "Cpus_allowed_list:\t0-3", "/sys/devices/system/cpu/online": "0-3",
            "/proc/meminfo": "MemAvailable: 1000000 kB", "/proc/cpuinfo": "model name\t: Test CPU\nflags\t\t: fma amx_tile",
            "/sys/kernel/mm/transparent_hugepage/enabled": "always madvise [never]",
            "/sys/devices/system/node/online": "0-1", "/sys/devices/system/node/node0/cpulist": "0-1",
            "/sys/devices/system/node/node1/cpulist": "2-3",
        ])
        let texts = advice.filter { $0.level == .advice }.map(\.text)
        for part in ["1.0 GB of memory are free", "huge pages are off", "2 memory domains", "the CPU has AMX"] {
            #expect(texts.contains { $0.contains(part) }, "\(part) in \(texts)")
        }
        #expect(advice.contains { $0.level == .fact && $0.text.hasPrefix("Test CPU: 4 cores in 2 memory domains") })
    }

    @Test func aSetThatIsForcedIsNamed() throws {
        let folder = try TemporaryFolder()
        let host = HostFacts(environment: ["LVO_THREADS": "7"], tree: SystemTree(root: folder.path))
        let diagnosis = try Diagnosis(host: host, forcedSet: "baseline", threads: ThreadSpeed(Engine(threads: 1)))
        #expect(diagnosis.findings.contains { $0.level == .fact && $0.text.contains("used: baseline (LVO_ISA)") })
    }
}
