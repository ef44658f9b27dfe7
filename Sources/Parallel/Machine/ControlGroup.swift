/// The control groups that bound this process: every group from its own up to the root as far as it is mounted here,
/// in version 1, version 2, and the hybrid of both.
///
/// SLURM, systemd and container hosts set limits on some group of the *path*; the root alone, which containers with a
/// namespace of their own show as theirs, is one case of many.
package struct ControlGroup: Sendable {
    /// A limit and the file that says so.
    package struct Limit: Sendable, Equatable {
        package let value: Double
        package let file: String
    }

    /// The least CPU time per time of all groups, in CPUs; nil without a quota.
    package let cpuQuota: Limit?
    /// The least memory limit of all groups, in bytes; nil without one.
    package let memoryLimit: Limit?
    /// Bytes that the groups with a memory limit leave free; nil without one.
    package let memoryFree: Int?

    package init(_ tree: SystemTree) {
        let mounts = Self.mounts(tree)
        let groups = Self.groups(tree)
        var quotas: [Limit] = []
        var limits: [Limit] = []
        var free: [Int] = []
        for mount in mounts {
            guard let group = groups.first(where: { mount.serves($0.controllers) }) else { continue }
            for folder in mount.folders(of: group.path) {
                if let quota = Self.quota(tree, folder, mount) { quotas.append(quota) }
                if let limit = Self.memory(tree, folder, mount) {
                    limits.append(limit)
                    free.append(max(0, Int(limit.value) - Self.used(tree, folder, mount)))
                }
            }
        }
        cpuQuota = quotas.min { $0.value < $1.value }
        memoryLimit = limits.min { $0.value < $1.value }
        memoryFree = free.min()
    }

    /// A mounted hierarchy.
    private struct Mount {
        /// The group that is mounted, as /proc/self/cgroup would call it.
        let root: String
        let point: String
        /// Empty for version 2.
        let controllers: Set<Substring>

        /// Whether a line of /proc/self/cgroup with these controllers (none for version 2) is about this mount.
        func serves(_ named: Set<Substring>) -> Bool {
            controllers.isEmpty ? named.isEmpty : !controllers.isDisjoint(with: named)
        }

        /// The folders of a group and of those above it, the group's own first. Groups outside of what is mounted
        /// (`/../…`, or a container that sees the host's path) are bounded by the mounted one at least.
        func folders(of group: String) -> [String] {
            var relative: Substring = root == "/" ? group[...] : ""
            if root != "/", group == root || group.hasPrefix(root + "/") { relative = group.dropFirst(root.count) }
            if relative.contains("/..") { relative = "" }
            var parts = relative.split(separator: "/")
            var folders = [point]
            var all: [String] = []
            while !parts.isEmpty {
                all.append(point + "/" + parts.joined(separator: "/"))
                parts.removeLast()
            }
            folders = all + folders
            return folders
        }
    }

    private static func mounts(_ tree: SystemTree) -> [Mount] {
        tree.lines("/proc/self/mountinfo").compactMap { line in
            // 36 35 98:0 /root /point options [optional …] - type source super-options
            let fields = line.split(separator: " ")
            guard let dash = fields.firstIndex(of: "-"), fields.count > dash + 3, dash >= 6 else { return nil }
            let (root, point) = (unescaped(fields[3]), unescaped(fields[4]))
            switch fields[dash + 1] {
            case "cgroup2": return Mount(root: root, point: point, controllers: [])
            case "cgroup":
                let options = Set(fields[dash + 3].split(separator: ","))
                let controllers = options.intersection(["cpu", "memory"])
                return controllers.isEmpty ? nil : Mount(root: root, point: point, controllers: controllers)
            default: return nil
            }
        }
    }

    /// The lines of /proc/self/cgroup: `4:memory:/path`, and `0::/path` for version 2.
    private static func groups(_ tree: SystemTree) -> [(controllers: Set<Substring>, path: String)] {
        tree.lines("/proc/self/cgroup").compactMap { line in
            let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard fields.count == 3 else { return nil }
            return (Set(fields[1].split(separator: ",")), String(fields[2]))
        }
    }

    private static func quota(_ tree: SystemTree, _ folder: String, _ mount: Mount) -> Limit? {
        if mount.controllers.isEmpty {
            let file = folder + "/cpu.max"
            let fields = tree.text(file)?.split(separator: " ").map { Double($0) } ?? []
            guard fields.count == 2, let quota = fields[0], let period = fields[1], quota > 0, period > 0 else {
                return nil
            }
            return Limit(value: quota / period, file: file)
        }
        guard mount.controllers.contains("cpu"), let quota = tree.integer(folder + "/cpu.cfs_quota_us"), quota > 0,
            let period = tree.integer(folder + "/cpu.cfs_period_us"), period > 0
        else { return nil }
        return Limit(value: Double(quota) / Double(period), file: folder + "/cpu.cfs_quota_us")
    }

    /// Version 1 writes "no limit" as the largest multiple of a page: anything above 2⁶⁰ is none.
    private static func memory(_ tree: SystemTree, _ folder: String, _ mount: Mount) -> Limit? {
        let file = folder + (mount.controllers.isEmpty ? "/memory.max" : "/memory.limit_in_bytes")
        guard mount.controllers.isEmpty || mount.controllers.contains("memory"), let bytes = tree.integer(file),
            bytes >= 0, bytes < 1 << 60
        else { return nil }
        return Limit(value: Double(bytes), file: file)
    }

    /// Bytes of a group that cannot be had back: its use less file pages that nothing holds.
    private static func used(_ tree: SystemTree, _ folder: String, _ mount: Mount) -> Int {
        let isUnified = mount.controllers.isEmpty
        let current = tree.integer(folder + (isUnified ? "/memory.current" : "/memory.usage_in_bytes")) ?? 0
        let pages = tree.value(after: isUnified ? "inactive_file " : "total_inactive_file ", in: folder + "/memory.stat")
        return current - (pages.flatMap { Int($0) } ?? 0)
    }

    /// mountinfo writes spaces and such as `\040`.
    private static func unescaped(_ text: Substring) -> String {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            let digits = rest.prefix(3)
            if byte == UInt8(ascii: "\\"), digits.count == 3,
                let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 8)
            {
                bytes.append(value)
                rest = rest.dropFirst(3)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
