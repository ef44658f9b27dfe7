import ArgumentParser
import WorkUnits

/// Which part of the work this process does.
struct ShardOption: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Only part i of n, i from 0. Default: what SLURM or Kubernetes announce, else everything.", valueName: "i/n"))
    var shard: String?

    /// - Throws: `SimpleFailure(.usage)` for what is no part, or numbers of a scheduler that contradict each other.
    func part() throws -> Shard {
        if let shard { return try Shard(shard) }
        return try Shard(environment: RuntimeOptions.environment) ?? .whole
    }
}
