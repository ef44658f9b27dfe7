import ArgumentParser
import Files
import WorkUnits

/// Batch files for SLURM.
struct SlurmOptions: ParsableArguments {
    @Option(help: "Array tasks, each a shard.")
    var tasks = 16

    @Option(help: "Processors per task.")
    var cpus = 16

    @Option(help: "Memory per task, as sbatch takes it.")
    var mem = "8G"

    @Option(help: "Time limit per task, as sbatch takes it.")
    var time = "04:00:00"

    @Option(help: "Partition.")
    var partition: String?

    @Flag(help: "Replace files that exist.")
    var overwrite = false

    func validate() throws {
        if tasks < 1 { throw ValidationError("--tasks \(tasks): expected at least 1") }
        if cpus < 1 { throw ValidationError("--cpus \(cpus): expected at least 1") }
    }

    var resources: SlurmResources { SlurmResources(cpus: cpus, memory: mem, time: time, partition: partition) }

    /// Writes the files and prints their paths.
    func write(_ files: [(name: String, text: String)], into folder: String) throws {
        for (name, text) in files {
            try OutputFile.write(text.utf8, to: "\(folder)/\(name)", overwrite: overwrite)
            print("\(folder)/\(name)")
        }
    }
}
