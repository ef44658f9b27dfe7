import Files
import Foundation
import TestSupport
import Testing

/// Every documented exit code, by a case that people meet.
@Suite struct ExitCodeTests {
    /// Scripts whose last command is the program's.
    static let cases: [(code: Int32, script: String, words: String)] = [
        (0, "$lvo layers --model embedded", "mid_block"),
        (2, "$lvo generate --model embedded --steps none", "--help"),
        (65, "mkdir m; echo '{' >m/model_index.json; $lvo layers --model m", "m/model_index.json"),
        (66, "$lvo layers --model nowhere", "nowhere: cannot be read"),
        (70, "$lvo generate --model embedded --steps 2 --steer mid_block.attentions.0:channel=1:3e38 --output o", "not finite"),
        (71, "ulimit -v 104000; $lvo generate --model embedded --steps 2 --width 512 --height 512 --output o", "memory"),
        (73, "touch f; $lvo generate --model embedded --steps 2 --output f", "f: "),
        (73, "$lvo layers --model embedded >/dev/full", "standard output: cannot be written"),
        (75, """
            printf 'a red star\\n' >p
            $lvo sae train --model embedded --layer mid_block.attentions.0 --prompts p --steps 1000000 --latents 64 --k 4 \\
                --batch 64 --buffer 128 --sampler-steps 2 --progress-every 0 --output o & child=$!
            for _ in $(seq 600); do [ -s o/mid_block.attentions.0/metrics.ndjson ] && break; sleep 0.1; done
            # To the program itself: timeout may have the signal blocked, as whoever runs the tests has.
            kill -TERM $(cat /proc/$child/task/$child/children); wait $child
            """, "run the same command again"),
    ]

    @Test(arguments: cases) func comesFromACaseThatPeopleMeet(code: Int32, script: String, words: String) throws {
        let result = try Program.bash("lvo=\"timeout -s KILL 120 $lvo\"; \(script)")
        #expect(result.status == code && result.output.contains(words), "\(result)")
        let complaints = result.output.split(separator: "\n").filter { $0.hasPrefix("lvo: ") }
        #expect(complaints.count == (code == 0 ? 0 : 1), "\(result)")
    }

    /// README.md and docs/clusters.md list the same codes, and each has its case.
    @Test(arguments: ["README.md", "docs/clusters.md"]) func listedOnesAreAll(page: String) throws {
        let text = try TextLines.read(PeopleTests.root + "/" + page).joined(separator: " ")
        let start = try #require(text.range(of: "xit codes")).upperBound
        let list = text[start...].prefix { $0 != "." }.split { !$0.isNumber }.compactMap { Int32($0) }
        #expect(Set(list) == Set(Self.cases.map(\.code)))
    }
}
