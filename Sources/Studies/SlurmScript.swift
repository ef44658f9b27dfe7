import Files

/// A batch file for SLURM, and one that submits the stages in order.
public struct SlurmScript: Sendable {
    public var study: String
    /// Array tasks, each a shard.
    public var tasks: Int
    public var cpus: Int
    /// As sbatch takes them: `4G`, `04:00:00`.
    public var memory: String
    public var time: String
    public var partition: String?

    /// - Parameter study: path of its folder.
    /// - Throws: `SimpleFailure(.usage)` for a path that SLURM cannot take.
    public init(study: String, tasks: Int, cpus: Int, memory: String, time: String, partition: String?) throws {
        // sbatch's own lines know quotes; but a backslash turns off its names of jobs and tasks, and a line ends at its end.
        guard !study.contains(where: { $0 == "\"" || $0 == "\\" || $0.isNewline }) else {
            throw SimpleFailure(
                .usage, "\(study): SLURM takes no path with quotation marks, backslashes or line ends; move the study")
        }
        self.study = study
        self.tasks = tasks
        self.cpus = cpus
        self.memory = memory
        self.time = time
        self.partition = partition
    }

    /// `sbatch study.sbatch STAGE`.
    public var batch: String {
        """
        #!/bin/bash
        # One stage of a study as a job array: sbatch study.sbatch \(Self.steps.map(\.command).joined(separator: " | "))
        # Every task is a shard (SLURM_ARRAY_TASK_ID of SLURM_ARRAY_TASK_COUNT); results do not depend on how many.
        #SBATCH --job-name=lvo-study
        #SBATCH --array=0-\(tasks - 1)
        #SBATCH --cpus-per-task=\(cpus)
        #SBATCH --mem=\(memory)
        #SBATCH --time=\(time)\(partition.map { "\n#SBATCH --partition=\($0)" } ?? "")
        # Two minutes before the time is up the script is told, lets lvo finish its unit, and is queued again.
        #SBATCH --signal=B:USR1@120
        #SBATCH --requeue
        #SBATCH --open-mode=append
        #SBATCH --output="\(study.replacing("%", with: "%%"))/log/slurm-%A_%a.txt"

        stage=${1:-run}
        lvo=${LVO:-lvo}
        # Processors of different kinds differ in the last bits: on a mixed cluster, choose what all of them have.
        # export LVO_ISA=avx2

        "$lvo" study "$stage" \(Shell.quoted(study)) --threads "$SLURM_CPUS_PER_TASK" &
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

    /// Submits all stages, each after the one before it is done.
    public var submit: String {
        var (lines, previous): ([String], String?) = ([], nil)
        for step in Self.steps {
            let after = previous.map { " --dependency=afterok:\"$\($0)\"" } ?? ""
            let array = step.isSharded ? "" : " --array=0"
            lines.append("\(step.command)=$(sbatch --parsable\(array)\(after) study.sbatch \(step.command))")
            previous = step.command
        }
        let jobs = Self.steps.map { "$\($0.command)" }.joined(separator: " ")
        return """
            #!/bin/bash
            # Submits the stages of the study in order. Stages with few units get one task.
            set -e
            mkdir -p \(Shell.quoted(study + "/log"))
            cd \(Shell.quoted(study))
            most=$(scontrol show config 2>/dev/null | sed -n 's/^MaxArraySize *= *//p')
            if [ -n "$most" ] && [ \(tasks) -gt "$most" ]; then
                echo "\(tasks) tasks, but MaxArraySize is $most here: write the scripts again with --tasks $most" >&2
                exit 2
            fi
            \(lines.joined(separator: "\n"))
            echo "\(jobs)"

            """
    }

    /// The stages, and the gallery after them.
    private static let steps: [(command: String, isSharded: Bool)] =
        StageName.allCases.map { ($0.command, $0.isSharded) } + [("report", false)]
}
