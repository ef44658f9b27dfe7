import Files
import Foundation
import TestSupport
import Testing

/// One command whose work several processes share.
@Suite(.serialized) struct WorkersTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private var study: String { folder.file("study") }

    /// Small, and without pictures to start from, whose drawing takes longest.
    private func begin(_ path: String) throws {
        let settings = StudyCommandTests.settings + ["dream.preset=tuned"]
        let result = try Program.run(["study", "init", path] + settings.flatMap { ["--set", $0] })
        #expect(result.status == 0, "\(result.errors)")
    }

    private func results(_ study: String) throws -> [String: Data] {
        try StudyCommandTests.results(
            study, stages: ["capture", "analysis", "prior", "dream", "reference", "steer", "measure", "map"])
    }

    /// A script with `run`, which starts the study with two workers, waits until a unit is done, and sets `parent` and
    /// `workers`, their process numbers.
    private func bash(_ script: String, options: String = "") throws -> (status: Int32, output: String) {
        try Program.bash("""
            run() {
                "$lvo" study run \(study) --workers 2 --json \(options) >events 2>errors & parent=$!
                until grep -q '"unit"' events; do sleep 0.02; kill -0 $parent || return; done
                workers=$(cat /proc/$parent/task/*/children)
            }
            \(script)
            """)
    }

    @Test func workersMakeTheBytesOfOneProcess() throws {
        let alone = folder.file("alone")
        for path in [alone, study] { try begin(path) }
        #expect(try Program.run("study", "run", alone).status == 0)
        let shared = try Program.run("study", "run", study, "--workers", "2")
        #expect(shared.status == 0 && shared.output == study + "/report/index.html\n", "\(shared.errors)")
        let starts = shared.errorLines.filter { $0.contains("units to do") }
        #expect(Set(starts).count == starts.count && starts.contains("capture: 6 units to do"), "\(shared.errors)")
        #expect(try results(study) == results(alone))
        let again = try Program.run("study", "run", study, "--workers", "auto")
        #expect(again.status == 0 && !again.errors.contains("units to do"), "\(again.errors)")
    }

    /// Each unit is told of once, by whichever worker did it, and stages have one beginning and one end.
    @Test func theWorkersTellOneStory() throws {
        try begin(study)
        let result = try Program.run("study", "run", study, "--workers", "2", "--json")
        let events = try result.output.split(separator: "\n").dropLast().map { try JSON.parse(String($0)) }
        let captured = events.filter { $0["stage"]?.string == "capture" }
        #expect(captured.map { $0["event"]?.string } == ["stage"] + [String](repeating: "unit", count: 6) + ["finished"])
        #expect(captured.compactMap { $0["done"]?.int } == [0, 1, 2, 3, 4, 5, 6])
        #expect(captured.last?["computed"]?.int == 6 && captured.last?["failed"]?.int == 0)
        #expect(Set(captured.compactMap { $0["unit"]?.string }).count == 6)
    }

    @Test func aKilledWorkerIsReplaced() throws {
        let alone = folder.file("alone")
        for path in [alone, study] { try begin(path) }
        #expect(try Program.run("study", "run", alone).status == 0)
        let result = try bash("run; kill -9 ${workers%% *}; wait $parent; echo code $?; cat errors")
        #expect(result.output.contains("code 0\n"), "\(result.output)")
        #expect(result.output.contains("was killed by signal 9; another takes its place"), "\(result.output)")
        #expect(try results(study) == results(alone))
    }

    @Test(arguments: ["TERM", "INT"]) func aSignalEndsAllAndTheSameCommandContinues(signal: String) throws {
        try begin(study)
        let result = try bash(
            "run; kill -\(signal) $parent; wait $parent; echo code $?; for id in $workers; do kill -0 $id; done; cat errors",
            options: "--set prompt_limit=200")
        #expect(result.output.contains("code 75\n"), "\(result.output)")
        let told = result.output.split(separator: "\n").filter { $0.hasPrefix("lvo: ") }
        #expect(told == ["lvo: stopped; run the same command again to continue"], "\(result.output)")
        #expect(result.output.split(separator: "\n").filter { $0.contains("No such process") }.count == 2)
        let again = try Program.run("study", "run", study, "--workers", "2")
        #expect(again.status == 0, "\(again.errors)")
    }

    /// Workers do not outlive the process that nobody could tell to end them.
    @Test func workersEndWithTheirParent() throws {
        try begin(study)
        let result = try bash(
            """
            run; kill -9 $parent
            for id in $workers; do timeout 60 tail --pid=$id -f /dev/null || echo $id is alive; done; echo over
            """, options: "--set prompt_limit=200")
        #expect(result.output.hasSuffix("over\n") && !result.output.contains("alive"), "\(result.output)")
    }

    @Test func mistakesOfWorkersAreOneLine() throws {
        try begin(study)
        let none = try Program.run("study", "run", study, "--workers", "0")
        #expect(none.status == 2 && none.errorLines.count == 1, "\(none.errors)")
        let waiting = try Program.run("study", "dream", study, "--workers", "2")
        #expect(waiting.status == 75 && waiting.errorLines.count == 1, "\(waiting.errors)")
        #expect(waiting.errors.contains("not analysed"), "\(waiting.errors)")
    }

    @Test func captureIsShared() throws {
        let result = try Program.bash("""
            printf 'a red star\\na blue ring\\n' >prompts.txt
            capture="$lvo capture --model embedded --layer mid_block.attentions.0 --prompts prompts.txt --sampler-steps 2"
            $capture --count 8 --pictures-per-file 2 --store alone >/dev/null 2>&1 || exit 1
            $capture --count 8 --pictures-per-file 2 --store shared --workers 2 2>errors || exit 2
            rm -r shared/claims alone/claims; diff -r alone shared && tail -n 1 errors
            """)
        #expect(result.status == 0 && result.output.contains("8/8"), "\(result.output)")
        #expect(result.output.contains("shared/mid_block.attentions.0\n"), "\(result.output)")
    }

    /// Records tell threads, times and memory; pictures, latents and the sheet are those of one process.
    @Test func dreamsAreShared() throws {
        let result = try Program.bash("""
            dream="$lvo dream --model embedded --layer mid_block.attentions.0 --preset tuned --steps 3"
            dream="$dream --channel 1 2 --timestep 100 500 --seed 1 2"
            $dream --sheet alone/sheet.png --output alone >names 2>/dev/null || exit 1
            sed s/alone/shared/ names | sort >expected
            $dream --sheet shared/sheet.png --output shared --workers 2 2>errors | sort | diff expected - || exit 2
            rm alone/*.json; for file in alone/*; do cmp $file shared/${file#alone/} || exit 3; done; tail -n 1 errors
            $dream --output shared --workers 2; echo code $?
            $dream --output shared --workers 2 --json --overwrite | grep -c '"result"'
            """)
        #expect(result.status == 0 && result.output.contains("12/12"), "\(result.output)")
        #expect(result.output.contains("code 73\n8\n") && result.output.contains("pass --overwrite"), "\(result.output)")
    }
}
