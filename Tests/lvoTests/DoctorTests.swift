import Files
import Foundation
import TestSupport
import Testing

@Suite struct DoctorTests {
    @Test func doctorChecksThisMachineAndWritesItsReport() throws {
        let folder = try TemporaryFolder()
        let path = folder.file("report.json")
        // Twice: an older report is replaced.
        for _ in 0..<2 {
            let result = try Program.run("doctor", "--output", path, environment: ["LVO_THREADS": "2"])
            #expect(result.status == 0, "\(result.output) \(result.errors)")
            #expect(result.output.contains("everything computes right"))
        }
        let report = try JSON.read(path)
        #expect(report["sound"]?.bool == true && report["threads"]?.int == 2)
        let sets = try #require(report["instruction_sets"]?.array)
        #expect(report["gradients"]?.array?.count == 2 * sets.count)
    }

    @Test func doctorReplacesNothingElse() throws {
        let folder = try TemporaryFolder()
        let notes = try folder.write("notes.json", Array("mine".utf8))
        let result = try Program.run("doctor", "--output", notes)
        #expect(result.status == 73 && result.errorLines.count == 1, "\(result.errors)")
        #expect(try folder.bytes("notes.json") == Array("mine".utf8))
        #expect(try Program.run("doctor", "--model", "somewhere").status == 2)
    }
}
