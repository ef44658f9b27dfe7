import Files
import WorkUnits

/// Batch files for SLURM: an array of tasks that draw activations, and a training that follows them.
public struct AutoencoderScript: Sendable {
    private let captureJob: SlurmJob
    private let trainJob: SlurmJob

    /// - Parameters:
    ///   - folder: where the files are to be, and what the jobs print.
    ///   - working: the folder from which the commands' paths go.
    ///   - tasks: of the array, each a shard of the capture.
    ///   - resources: of each of them, and of the training.
    ///   - capture: words of the command that draws, without the program's name.
    ///   - train: words of the one that trains.
    /// - Throws: `SimpleFailure(.usage)` for a path that SLURM cannot take.
    public init(
        folder: String, working: String, tasks: Int, resources: SlurmResources, capture: [String], train: [String]
    ) throws {
        func job(_ name: String, _ about: String, _ tasks: Int?, _ log: String, _ words: [String]) throws -> SlurmJob {
            var job = try SlurmJob(
                name: "lvo-\(name)", about: [about], tasks: tasks, resources: resources, folder: folder, log: log,
                command: Shell.line(words))
            job.preparation = ["cd \(Shell.quoted(working)) || exit 66"]
            return job
        }
        captureJob = try job(
            "capture", "Draws activations: every task is a shard; the stores do not depend on how many there are.", tasks,
            "capture-%A_%a.txt", capture)
        trainJob = try job(
            "train", "Trains on what is drawn meanwhile, and waits for what is not there yet.", nil, "train-%j.txt", train)
    }

    /// `capture.sbatch`
    public var capture: String { captureJob.batch }

    /// `train.sbatch`
    public var train: String { trainJob.batch }

    /// Submits both. The training begins once the first task has, and waits for files by itself.
    public var submit: String {
        SlurmJob.submission(
            about: ["Submits the array that draws activations, and the training that follows it."],
            folder: captureJob.folder, tasks: captureJob.tasks ?? 1,
            jobs: [
                ("capture", "capture.sbatch"), ("train", "--dependency=after:\"${capture}_0\" train.sbatch"),
            ])
    }
}
