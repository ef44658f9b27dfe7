import Files
import WorkUnits

/// A batch file for SLURM, and one that submits the stages in order.
public struct SlurmScript: Sendable {
    /// Of one stage: `sbatch study.sbatch STAGE`.
    private let job: SlurmJob
    private let tasks: Int

    /// - Parameters:
    ///   - study: path of its folder.
    ///   - tasks: of an array, each a shard.
    /// - Throws: `SimpleFailure(.usage)` for a path that SLURM cannot take.
    public init(study: String, tasks: Int, resources: SlurmResources) throws {
        self.tasks = tasks
        let commands = Self.steps.map(\.command).joined(separator: " | ")
        var job = try SlurmJob(
            name: "lvo-study",
            about: [
                "One stage of a study as a job array: sbatch study.sbatch \(commands)",
                "Every task is a shard (SLURM_ARRAY_TASK_ID of SLURM_ARRAY_TASK_COUNT); results do not depend on how many.",
            ],
            tasks: tasks, resources: resources, folder: study, log: "slurm-%A_%a.txt",
            command: "study \"$stage\" \(Shell.quoted(study))")
        job.preparation = ["stage=${1:-run}"]
        self.job = job
    }

    /// The batch file of any stage.
    public var batch: String { job.batch }

    /// Submits all stages, each after the one before is done.
    public var submit: String {
        var (jobs, previous): ([(name: String, command: String)], String?) = ([], nil)
        for step in Self.steps {
            let after = previous.map { "--dependency=afterok:\"$\($0)\" " } ?? ""
            let array = step.isSharded ? "" : "--array=0 "
            jobs.append((step.command, "\(array)\(after)study.sbatch \(step.command)"))
            previous = step.command
        }
        return SlurmJob.submission(
            about: ["Submits the stages of the study in order. Stages with few units get one task."], folder: job.folder,
            tasks: tasks, jobs: jobs)
    }

    /// The stages, and the gallery after them.
    private static let steps: [(command: String, isSharded: Bool)] =
        StageName.allCases.map { ($0.command, $0.isSharded) } + [("report", false)]
}
