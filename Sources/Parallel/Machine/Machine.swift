/// The machine as this process may use it: CPUs within its affinity mask, physical cores, memory domains, quotas and
/// memory limits of its control groups. Sources: /proc/self/status, /sys/devices/system, /proc/self/cgroup.
public struct Machine: Sendable {
    /// A memory domain (NUMA node) with the CPUs of it that this process may use.
    public struct Domain: Sendable, Equatable {
        public let node: Int
        public let cpus: Set<Int>
    }

    /// Logical CPUs that this process may run on.
    public let cpus: Set<Int>
    /// The same by physical core: hyper-threads of one core together, cores by their lowest number.
    public let cores: [[Int]]
    /// Memory domains with at least one of these CPUs, ascending; one of everything where the system tells of none.
    public let domains: [Domain]
    /// Groups of `cpus` that share a last-level cache, by their lowest number.
    public let sharedCaches: [[Int]]
    /// CPU time per time that control groups allow, in CPUs, and the file that says so; nil without a quota.
    public let quota: (cpus: Double, file: String)?
    /// Bytes that control groups allow, and the file that says so; nil without a limit.
    public let memoryLimit: (bytes: Int, file: String)?
    /// Bytes that may still be taken without swapping, within the groups' limits; nil where neither is told.
    public let availableMemory: Int?

    /// Reads the running system, or a recorded one.
    public init(_ tree: SystemTree = SystemTree()) {
        let cpus = Self.allowed(tree)
        self.cpus = cpus
        cores = Self.groups(of: cpus) { cpu in
            let topology = "/sys/devices/system/cpu/cpu\(cpu)/topology/"
            return tree.text(topology + "core_cpus_list") ?? tree.text(topology + "thread_siblings_list")
        }
        sharedCaches = Self.groups(of: cpus) { cpu in Self.lastCache(tree, cpu) }
        domains = Self.domains(tree, cpus)
        let group = ControlGroup(tree)
        quota = group.cpuQuota.map { ($0.value, $0.file) }
        memoryLimit = group.memoryLimit.map { (Int($0.value), $0.file) }
        let free = tree.value(after: "MemAvailable:", in: "/proc/meminfo")?.prefix { $0.isNumber }
        let machine = free.flatMap { Int($0) }.map { $0 * 1024 }
        availableMemory = [machine, group.memoryFree].compactMap { $0 }.min()
    }

    /// Peak resident memory of this process in bytes; nil where /proc does not tell.
    public static var peakMemory: Int? { memory("VmHWM:") }

    /// Resident memory of this process in bytes; nil where /proc does not tell.
    public static var residentMemory: Int? { memory("VmRSS:") }

    private static func memory(_ name: String) -> Int? {
        let text = SystemTree().value(after: name, in: "/proc/self/status")?.prefix { $0.isNumber }
        return text.flatMap { Int($0) }.map { $0 * 1024 }
    }

    /// CPUs in the affinity mask that are online; without /proc, CPU 0.
    private static func allowed(_ tree: SystemTree) -> Set<Int> {
        let mask = tree.value(after: "Cpus_allowed_list:", in: "/proc/self/status").flatMap { CPUList.parse($0) }
        let online = tree.text("/sys/devices/system/cpu/online").flatMap { CPUList.parse($0) }
        let both = switch (mask, online) {
        case (let mask?, let online?): mask.intersection(online)
        case (let known?, nil), (nil, let known?): known
        case (nil, nil): Set<Int>()
        }
        return both.isEmpty ? [0] : both
    }

    /// CPUs with the same key together; one without a key is alone.
    private static func groups(of cpus: Set<Int>, _ key: (Int) -> String?) -> [[Int]] {
        Dictionary(grouping: cpus.sorted()) { key($0) ?? "cpu \($0)" }.values.sorted { $0[0] < $1[0] }
    }

    /// Who shares the cache of the highest level with a CPU.
    private static func lastCache(_ tree: SystemTree, _ cpu: Int) -> String? {
        let caches = (0..<8).compactMap { index -> (level: Int, shared: String)? in
            let folder = "/sys/devices/system/cpu/cpu\(cpu)/cache/index\(index)/"
            guard let level = tree.integer(folder + "level"), let shared = tree.text(folder + "shared_cpu_list") else {
                return nil
            }
            return (level, shared)
        }
        return caches.max { $0.level < $1.level }?.shared
    }

    private static func domains(_ tree: SystemTree, _ cpus: Set<Int>) -> [Domain] {
        let nodes = tree.text("/sys/devices/system/node/online").flatMap { CPUList.parse($0) } ?? []
        let domains = nodes.sorted().compactMap { node -> Domain? in
            let list = tree.text("/sys/devices/system/node/node\(node)/cpulist").flatMap { CPUList.parse($0) } ?? []
            let own = list.intersection(cpus)
            return own.isEmpty ? nil : Domain(node: node, cpus: own)
        }
        return domains.isEmpty ? [Domain(node: 0, cpus: cpus)] : domains
    }
}
