#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// How many threads to use, and which limit decided it.
///
/// min(physical cores, CPUs this process may run on, cgroup quota): hyper-threads share the multiply units that
/// this program saturates, and a container's quota punishes threads that spin beyond it.
public struct ThreadCount: Sendable {
    public let count: Int
    public let reason: String

    public static func detect(environment: [String: String]) -> ThreadCount {
        if let text = environment["LVO_THREADS"], let value = Int(text), value > 0 {
            return ThreadCount(count: value, reason: "LVO_THREADS")
        }
        var limits: [(count: Int, reason: String)] = [(physicalCores(), "physical cores")]
        limits.append((affinityCount(), "affinity mask"))
        if let quota = cgroupQuota() { limits.append((quota, "cgroup quota")) }
        let least = limits.min { $0.count < $1.count }!
        return ThreadCount(count: max(1, least.count), reason: least.reason)
    }

    /// CPUs in the affinity mask, read from /proc: Glibc's module does not show `sched_getaffinity` to Swift.
    static func affinityCount() -> Int {
        let online = max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))
        guard let status = readSmallFile("/proc/self/status"),
            let line = status.split(separator: "\n").first(where: { $0.hasPrefix("Cpus_allowed:") })
        else { return online }
        let digits = line.dropFirst("Cpus_allowed:".count).compactMap(\.hexDigitValue)
        let count = digits.reduce(0) { $0 + $1.nonzeroBitCount }
        return count > 0 ? count : online
    }

    static func physicalCores() -> Int {
        let online = max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))
        var cores = Set<String>()
        for cpu in 0..<online {
            let topology = "/sys/devices/system/cpu/cpu\(cpu)/topology/"
            guard let siblings = readSmallFile(topology + "thread_siblings_list") else { return online }
            cores.insert(siblings)
        }
        return cores.count
    }

    /// Whole CPUs of the container's quota (cgroup v2 `cpu.max`, v1 `cpu.cfs_quota_us`), rounded up; nil without one.
    static func cgroupQuota() -> Int? {
        if let text = readSmallFile("/sys/fs/cgroup/cpu.max") {
            let fields = text.split(whereSeparator: \.isWhitespace)
            if fields.count == 2, let quota = Double(fields[0]), let period = Double(fields[1]), period > 0 {
                return max(1, Int((quota / period).rounded(.up)))
            }
        }
        if let quota = readSmallFile("/sys/fs/cgroup/cpu/cpu.cfs_quota_us").flatMap(Double.init), quota > 0,
            let period = readSmallFile("/sys/fs/cgroup/cpu/cpu.cfs_period_us").flatMap(Double.init), period > 0
        {
            return max(1, Int((quota / period).rounded(.up)))
        }
        return nil
    }

    /// The trimmed text of a file of at most 4 KB under /sys, or nil.
    static func readSmallFile(_ path: String) -> String? {
        let file = open(path, O_RDONLY)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var buffer = [UInt8](repeating: 0, count: 4096)
        let length = read(file, &buffer, buffer.count)
        guard length > 0 else { return nil }
        var text = Substring(decoding: buffer[..<length], as: UTF8.self)
        while text.last?.isWhitespace == true { text.removeLast() }
        return String(text)
    }
}
