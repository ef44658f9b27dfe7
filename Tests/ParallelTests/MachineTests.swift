import Foundation
import Parallel
import TestSupport
import Testing

/// /proc and /sys of a machine, as far as they are read.
struct RecordedMachine: Sendable, CustomTestStringConvertible {
    let testDescription: String
    var files: [String: String] = [:]
    /// What must be seen.
    var cores = 1
    var quota: Double?
    var memoryLimit: Int?
    var domains = 1
    var threads = 1

    /// CPUs with their cores: `siblings` lists who shares each CPU's core.
    mutating func topology(online: String, mask: String, siblings: (Int) -> String) throws {
        let cpus = try #require(CPUList.parse(online))
        files["/sys/devices/system/cpu/online"] = online
        files["/proc/self/status"] = "Name:\tlvo\nCpus_allowed:\tff\nCpus_allowed_list:\t\(mask)\nMems_allowed:\t1\n"
        for cpu in cpus {
            files["/sys/devices/system/cpu/cpu\(cpu)/topology/thread_siblings_list"] = siblings(cpu)
        }
    }

    func written(to folder: TemporaryFolder) throws -> SystemTree {
        for (path, text) in files {
            let url = URL(fileURLWithPath: folder.path + path)
            try FileManager.default.createDirectory(at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
            try Data((text + "\n").utf8).write(to: url)
        }
        return SystemTree(root: folder.path)
    }
}

/// Real shapes, shortened to the lines that matter.
enum RecordedMachines {
    private static let v1Mounts = """
        31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
        32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:14 - cgroup cgroup rw,cpu,cpuacct
        35 31 0:32 / /sys/fs/cgroup/memory rw,nosuid shared:15 - cgroup cgroup rw,memory
        """
    private static let v2Mount = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate"

    static func all() throws -> [RecordedMachine] {
        try [
            laptop(), hyperThreads(), slurmWithoutHyperThreads(), slurmV1(),
            systemdSlice(), kubernetes(), dockerV1(), dockerV2(),
            twoSockets(), hybridCores(), nestedHybridGroup(),
        ]
    }

    static func laptop() throws -> RecordedMachine {
        var machine = RecordedMachine(testDescription: "four cores, no groups", cores: 4, threads: 4)
        try machine.topology(online: "0-3", mask: "0-3") { "\($0)" }
        return machine
    }

    static func hyperThreads() throws -> RecordedMachine {
        var machine = RecordedMachine(
            testDescription: "SLURM task on whole cores: a mask of hyper-thread pairs", cores: 2, threads: 2)
        try machine.topology(online: "0-15", mask: "2-3,10-11") { "\($0 % 8),\($0 % 8 + 8)" }
        return machine
    }

    static func slurmWithoutHyperThreads() throws -> RecordedMachine {
        var machine = RecordedMachine(testDescription: "SLURM task with --hint=nomultithread", cores: 4, threads: 4)
        try machine.topology(online: "0-15", mask: "0-3") { "\($0 % 8),\($0 % 8 + 8)" }
        return machine
    }

    static func slurmV1() throws -> RecordedMachine {
        var machine = RecordedMachine(
            testDescription: "SLURM, version 1: the job's memory below the user's",
            cores: 8, memoryLimit: 8_589_934_592, threads: 8)
        try machine.topology(online: "0-7", mask: "0-7") { "\($0)" }
        machine.files["/proc/self/mountinfo"] = v1Mounts
        machine.files["/proc/self/cgroup"] = """
            9:memory:/slurm/uid_1000/job_77/step_0/task_0
            4:cpu,cpuacct:/slurm/uid_1000/job_77
            """
        let memory = "/sys/fs/cgroup/memory"
        machine.files[memory + "/slurm/uid_1000/job_77/step_0/task_0/memory.limit_in_bytes"] = "9223372036854771712"
        machine.files[memory + "/slurm/uid_1000/job_77/memory.limit_in_bytes"] = "8589934592"
        machine.files[memory + "/slurm/uid_1000/memory.limit_in_bytes"] = "68719476736"
        machine.files["/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us"] = "-1"
        machine.files["/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us"] = "100000"
        return machine
    }

    static func systemdSlice() throws -> RecordedMachine {
        var machine = RecordedMachine(
            testDescription: "systemd: CPUQuota=250% on a slice above the scope", cores: 16, quota: 2.5,
            memoryLimit: 4_000_000_000, threads: 3)
        try machine.topology(online: "0-15", mask: "0-15") { "\($0)" }
        machine.files["/proc/self/mountinfo"] = v2Mount
        machine.files["/proc/self/cgroup"] = "0::/user.slice/user-1000.slice/lvo.scope"
        let group = "/sys/fs/cgroup/user.slice"
        machine.files[group + "/user-1000.slice/lvo.scope/cpu.max"] = "max 100000"
        machine.files[group + "/user-1000.slice/cpu.max"] = "250000 100000"
        machine.files[group + "/cpu.max"] = "max 100000"
        machine.files[group + "/user-1000.slice/lvo.scope/memory.max"] = "max"
        machine.files[group + "/memory.max"] = "4000000000"
        return machine
    }

    static func kubernetes() throws -> RecordedMachine {
        var machine = RecordedMachine(
            testDescription: "Kubernetes pod with its own namespace: the quota at the mounted root", cores: 64, quota: 4,
            memoryLimit: 17_179_869_184, threads: 4)
        try machine.topology(online: "0-63", mask: "0-63") { "\($0)" }
        machine.files["/proc/self/mountinfo"] = v2Mount
        machine.files["/proc/self/cgroup"] = "0::/"
        machine.files["/sys/fs/cgroup/cpu.max"] = "400000 100000"
        machine.files["/sys/fs/cgroup/memory.max"] = "17179869184"
        return machine
    }

    static func dockerV1() throws -> RecordedMachine {
        var machine = RecordedMachine(
            testDescription: "Docker, version 1: the container's group mounted as the root", cores: 8, quota: 1.5,
            memoryLimit: 1_073_741_824, threads: 2)
        try machine.topology(online: "0-7", mask: "0-7") { "\($0)" }
        machine.files["/proc/self/mountinfo"] = """
            40 39 0:29 /docker/4f1e /sys/fs/cgroup/cpu ro,nosuid - cgroup cgroup rw,cpu
            41 39 0:30 /docker/4f1e /sys/fs/cgroup/memory ro,nosuid - cgroup cgroup rw,memory
            """
        machine.files["/proc/self/cgroup"] = "4:memory:/docker/4f1e\n2:cpu:/docker/4f1e"
        machine.files["/sys/fs/cgroup/cpu/cpu.cfs_quota_us"] = "150000"
        machine.files["/sys/fs/cgroup/cpu/cpu.cfs_period_us"] = "100000"
        machine.files["/sys/fs/cgroup/memory/memory.limit_in_bytes"] = "1073741824"
        return machine
    }

    static func dockerV2() throws -> RecordedMachine {
        var machine = RecordedMachine(
            testDescription: "Docker, version 2, seen from the host's namespace", cores: 8, quota: 3, threads: 3)
        try machine.topology(online: "0-7", mask: "0-7") { "\($0)" }
        machine.files["/proc/self/mountinfo"] = "30 23 0:26 /../.. /sys/fs/cgroup ro - cgroup2 cgroup rw"
        machine.files["/proc/self/cgroup"] = "0::/../../system.slice/docker-4f1e.scope"
        machine.files["/sys/fs/cgroup/cpu.max"] = "300000 100000"
        machine.files["/sys/fs/cgroup/memory.max"] = "max"
        return machine
    }

    static func twoSockets() throws -> RecordedMachine {
        var machine = RecordedMachine(
            testDescription: "two sockets, CPUs numbered in turn, hyper-threads off in the mask of one", cores: 12, domains: 2,
            threads: 12)
        try machine.topology(online: "0-31", mask: "0-7,16-23,24-27") { "\($0 % 16),\($0 % 16 + 16)" }
        machine.files["/sys/devices/system/node/online"] = "0-1"
        machine.files["/sys/devices/system/node/node0/cpulist"] = "0,2,4,6,8,10,12,14,16,18,20,22,24,26,28,30"
        machine.files["/sys/devices/system/node/node1/cpulist"] = "1,3,5,7,9,11,13,15,17,19,21,23,25,27,29,31"
        return machine
    }

    static func hybridCores() throws -> RecordedMachine {
        var machine = RecordedMachine(
            testDescription: "hybrid: four fast cores with two threads, eight slow ones", cores: 12, threads: 12)
        try machine.topology(online: "0-15", mask: "0-15") { $0 < 8 ? "\($0 / 2 * 2)-\($0 / 2 * 2 + 1)" : "\($0)" }
        return machine
    }

    static func nestedHybridGroup() throws -> RecordedMachine {
        var machine = RecordedMachine(
            testDescription: "hybrid groups: version 1 controllers beside an empty version 2", cores: 2, quota: 1,
            memoryLimit: 2_000_000_000, threads: 1)
        try machine.topology(online: "0-1", mask: "0-1") { "\($0)" }
        machine.files["/proc/self/mountinfo"] = """
            32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu
            35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
            41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
            """
        machine.files["/proc/self/cgroup"] = "4:memory:/outer/inner\n1:cpu:/outer/inner\n0::/"
        machine.files["/sys/fs/cgroup/cpu/outer/cpu.cfs_quota_us"] = "100000"
        machine.files["/sys/fs/cgroup/cpu/outer/cpu.cfs_period_us"] = "100000"
        machine.files["/sys/fs/cgroup/cpu/outer/inner/cpu.cfs_quota_us"] = "-1"
        machine.files["/sys/fs/cgroup/memory/outer/inner/memory.limit_in_bytes"] = "2000000000"
        machine.files["/sys/fs/cgroup/memory/outer/inner/memory.usage_in_bytes"] = "1500000000"
        machine.files["/sys/fs/cgroup/memory/outer/inner/memory.stat"] = "cache 9\ntotal_inactive_file 500000000"
        return machine
    }
}

@Suite struct MachineTests {
    @Test(arguments: try RecordedMachines.all())
    func recordedMachinesAreSeenRightly(_ recorded: RecordedMachine) throws {
        let folder = try TemporaryFolder()
        let machine = Machine(try recorded.written(to: folder))
        #expect(machine.cores.count == recorded.cores)
        #expect(machine.quota?.cpus == recorded.quota)
        #expect(machine.memoryLimit?.bytes == recorded.memoryLimit)
        #expect(machine.domains.count == recorded.domains)
        #expect(ThreadCount.detect(environment: [:], machine: machine).count == recorded.threads)
    }

    @Test func whatAGroupUsesIsNotFreeUnlessItIsFilePages() throws {
        let folder = try TemporaryFolder()
        let machine = Machine(try RecordedMachines.nestedHybridGroup().written(to: folder))
        #expect(machine.availableMemory == 1_000_000_000)
    }

    @Test func cpusOfTwoSocketsAreInTheirDomains() throws {
        let folder = try TemporaryFolder()
        let machine = Machine(try RecordedMachines.twoSockets().written(to: folder))
        #expect(machine.domains[0].cpus.allSatisfy { $0 % 2 == 0 })
        #expect(machine.domains.reduce(0) { $0 + $1.cpus.count } == machine.cpus.count)
    }

    @Test func theEnvironmentWins() {
        #expect(ThreadCount.detect(environment: ["LVO_THREADS": "7"]).count == 7)
        #expect(ThreadCount.detect(environment: ["LVO_THREADS": "none"]).reason != "LVO_THREADS")
    }

    @Test(arguments: [("0-3,8", [0, 1, 2, 3, 8]), ("", []), ("5", [5])])
    func listsOfCPUsAreReadAndWritten(_ text: String, _ numbers: [Int]) {
        #expect(CPUList.parse(text)?.sorted() == numbers)
        #expect(CPUList.text(numbers) == text)
    }

    @Test(arguments: ["3-1", "a", "1-", "-1", "1-2-3", "0-99999999999999999999"])
    func damagedListsAreRefused(_ text: String) { #expect(CPUList.parse(text) == nil) }

    @Test func thisMachineHasAtLeastOneCore() {
        let machine = Machine()
        #expect(machine.cores.joined().sorted() == machine.cpus.sorted())
        #expect((machine.availableMemory ?? 1) > 0)
    }
}
