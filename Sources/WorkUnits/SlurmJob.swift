import Files

/// What a task of a SLURM job gets; as sbatch takes them: `8G`, `04:00:00`.
public struct SlurmResources: Sendable {
    public var cpus: Int
    public var memory: String
    public var time: String
    public var partition: String?

    public init(cpus: Int, memory: String, time: String, partition: String? = nil) {
        (self.cpus, self.memory, self.time, self.partition) = (cpus, memory, time, partition)
    }
}

/// A batch file for SLURM that runs a command of this program and is queued again as long as that wants to go on.
public struct SlurmJob: Sendable {
    /// The job's name in the queue.
    public var name: String
    /// Lines of comment at the top.
    public var about: [String]
    /// Tasks of the job array, each a shard; nil: one job that is no array.
    public var tasks: Int?
    public var resources: SlurmResources
    /// Where the batch file is; the tasks' outputs go into its subfolder `log`.
    public var folder: String
    /// The tasks' outputs, as sbatch names them.
    public var log: String
    /// Lines before the command.
    public var preparation: [String] = []
    /// The command's words after the program's name, as the shell reads them; threads are added.
    public var command: String

    /// - Throws: `SimpleFailure(.usage)` for a path that SLURM cannot take.
    public init(
        name: String, about: [String], tasks: Int?, resources: SlurmResources, folder: String, log: String, command: String
    ) throws {
        // sbatch's own lines know quotes; but a backslash turns off its names of jobs and tasks, and a line ends at its end.
        guard !folder.contains(where: { $0 == "\"" || $0 == "\\" || $0.isNewline }) else {
            throw SimpleFailure(
                .usage, "\(folder): SLURM takes no path with quotation marks, backslashes or line ends; give another folder")
        }
        (self.name, self.about, self.tasks, self.resources) = (name, about, tasks, resources)
        (self.folder, self.log, self.command) = (folder, log, command)
    }

    /// The batch file.
    public var batch: String {
        """
        #!/bin/bash
        \(about.map { "# \($0)\n" }.joined())#SBATCH --job-name=\(name)\(tasks.map { "\n#SBATCH --array=0-\($0 - 1)" } ?? "")
        #SBATCH --cpus-per-task=\(resources.cpus)
        #SBATCH --mem=\(resources.memory)
        #SBATCH --time=\(resources.time)\(resources.partition.map { "\n#SBATCH --partition=\($0)" } ?? "")
        # Two minutes before the time is up the script is told, lets lvo finish its unit, and is queued again.
        #SBATCH --signal=B:USR1@120
        #SBATCH --requeue
        #SBATCH --open-mode=append
        #SBATCH --output="\(folder.replacing("%", with: "%%"))/log/\(log)"

        \(preparation.map { "\($0)\n" }.joined())lvo=${LVO:-lvo}
        # Processors of different kinds differ in the last bits: on a mixed cluster, choose what all of them have.
        # export LVO_ISA=avx2

        "$lvo" \(command) --threads "$SLURM_CPUS_PER_TASK" &
        child=$!
        trap 'kill -USR1 "$child" 2>/dev/null' USR1 TERM
        wait "$child"
        code=$?
        # A signal ends wait early; the child's own code comes when it has ended.
        while kill -0 "$child" 2>/dev/null; do
            wait "$child"
            code=$?
        done

        # 75: stopped early, the same command continues. More restarts than that mean that something else is wrong.
        if [ "$code" -eq 75 ] && [ "${SLURM_RESTART_COUNT:-0}" -lt 50 ]; then
            scontrol requeue "${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}${SLURM_ARRAY_TASK_ID:+_$SLURM_ARRAY_TASK_ID}"
        fi
        exit "$code"

        """
    }

    /// A script that submits jobs from a folder.
    ///
    /// - Parameters:
    ///   - about: lines of comment at the top.
    ///   - tasks: of the largest array.
    ///   - jobs: names of shell variables for the jobs' numbers, which are printed, and what submits each.
    public static func submission(
        about: [String], folder: String, tasks: Int, jobs: [(name: String, command: String)]
    ) -> String {
        """
        #!/bin/bash
        \(about.map { "# \($0)\n" }.joined())set -e
        mkdir -p \(Shell.quoted(folder + "/log"))
        cd \(Shell.quoted(folder))
        most=$(scontrol show config 2>/dev/null | sed -n 's/^MaxArraySize *= *//p')
        if [ -n "$most" ] && [ \(tasks) -gt "$most" ]; then
            echo "\(tasks) tasks, but MaxArraySize is $most here: write the scripts again with --tasks $most" >&2
            exit 2
        fi
        \(jobs.map { "\($0.name)=$(sbatch --parsable \($0.command))" }.joined(separator: "\n"))
        echo "\(jobs.map { "$\($0.name)" }.joined(separator: " "))"

        """
    }
}
