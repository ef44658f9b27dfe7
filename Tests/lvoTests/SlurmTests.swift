import Foundation
import TestSupport
import Testing

/// Batch files for SLURM, run as SLURM would run them: by bash, with its variables.
@Suite struct SlurmTests {
    /// shellcheck, where the machine has it, finds nothing in them.
    private static let check = """
        check() {
            for file in "$@"; do bash -n "$file" || echo "bad: $file"; done
            if command -v shellcheck >/dev/null; then shellcheck "$@"; fi
        }
        """

    @Test func aStudysScriptsAreCleanInAFolderAsPeopleNameThem() throws {
        let result = try Program.bash(
            Self.check + """

                mkdir "it's here"; cd "it's here"
                "$lvo" study init 'a study' >/dev/null
                "$lvo" study slurm 'a study' --tasks 3 --partition fast >/dev/null
                check 'a study/study.sbatch' 'a study/submit.sh'
                grep -c '^#SBATCH --array=0-2$\\|^#SBATCH --partition=fast$' 'a study/study.sbatch'
                grep -c 'sbatch --parsable' 'a study/submit.sh'
                """)
        #expect(result.output == "2\n11\n", "\(result.output)")
    }

    /// Two tasks of the array and the training after them make what two commands make by hand.
    @Test func anArrayDrawsAndATrainingFollows() throws {
        let result = try Program.bash(
            Self.check + """

                mkdir "it's here"; cd "it's here"
                printf 'a red star\\na blue ring\\n' >'the prompts.txt'
                capture=(capture --model embedded --layer mid_block.attentions.0 --prompts 'the prompts.txt'
                    --sampler-steps 2 --count 5 --pictures-per-file 1)
                train=(sae train --latents 64 --k 4 --batch 64 --steps 9 --window 2 --progress-every 0)
                "$lvo" "${capture[@]}" --store whole >/dev/null 2>&1
                "$lvo" "${train[@]}" --activations whole --output whole-run >/dev/null
                "$lvo" sae slurm jobs --tasks 2 --cpus 1 -- "${capture[@]}" --store drawn -- "${train[@]}" --output run
                check jobs/*.sbatch jobs/submit.sh
                export LVO=$lvo SLURM_CPUS_PER_TASK=1
                timeout 120 bash jobs/train.sbatch >/dev/null 2>&1 &
                for task in 1 0; do
                    SLURM_ARRAY_TASK_ID=$task SLURM_ARRAY_TASK_MIN=0 SLURM_ARRAY_TASK_MAX=1 SLURM_ARRAY_TASK_COUNT=2 \\
                        bash jobs/capture.sbatch >/dev/null 2>&1
                done
                wait
                diff -r whole drawn && cmp whole-run/*/unet.*/sae.safetensors run/*/unet.*/sae.safetensors && echo same
                """)
        let lines = result.output.split(separator: "\n")
        #expect(lines.map { $0.split(separator: "/").last } == ["capture.sbatch", "train.sbatch", "submit.sh", "same"])
    }

    @Test(arguments: [
        ("", "expected two commands"), ("-- capture --store s", "expected two commands"),
        ("-- capture CAPTURE -- sae train --steps 0 --output r", "--steps 0"),
        ("-- capture CAPTURE --shard 0/2 -- sae train --steps 1 --output r", "is a shard"),
        ("-- capture CAPTURE --seed=-1 -- sae train --steps 1 --output r", "--seed -1"),
        ("-- capture CAPTURE -- sae train --steps 1 --output r --seed=-1", "--seed -1"),
        ("-- capture CAPTURE -- sae train --steps 1 --output r --buffer 9999", "--buffer"),
    ])
    func mistakesAreToldBeforeTheQueue(commands: String, words: String) throws {
        let capture = commands.replacing("CAPTURE", with: "--model embedded --layer x --prompts p --store s")
        let arguments = capture.split(separator: " ").map(String.init)
        let result = try Program.run(["sae", "slurm", "/nowhere"] + arguments)
        #expect(result.status == 2 && result.errorLines.count == 1 && result.errors.contains(words), "\(result.errors)")
    }
}
