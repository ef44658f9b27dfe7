/// How many threads to use, and which limit decided it.
///
/// min(physical cores within the affinity mask, quota of the control groups): hyper-threads share the multiply units that
/// this program saturates, and a quota punishes threads that spin beyond it.
public struct ThreadCount: Sendable {
    /// Threads, at least 1.
    public let count: Int
    /// In words, with the file of a quota.
    public let reason: String

    /// - Parameter environment: `LVO_THREADS`, if it is a whole number above 0, wins over everything.
    public static func detect(environment: [String: String], machine: Machine = Machine()) -> ThreadCount {
        if let text = environment["LVO_THREADS"], let value = Int(text), value > 0 {
            return ThreadCount(count: value, reason: "LVO_THREADS")
        }
        let cores = machine.cores.count
        if let quota = machine.quota, quota.cpus < Double(cores) {
            return ThreadCount(count: max(1, Int(quota.cpus.rounded(.up))), reason: "control group quota, \(quota.file)")
        }
        let isWhole = machine.cpus.count == cores
        let within = "physical cores of the \(machine.cpus.count) CPUs in the affinity mask"
        return ThreadCount(count: cores, reason: isWhole ? "CPUs in the affinity mask" : within)
    }
}
