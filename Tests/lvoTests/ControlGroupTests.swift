import Foundation
import TestSupport
import Testing

/// A real nested control group, where the machine lets tests make one.
@Suite struct ControlGroupTests {
    static let folder: String? = {
        let name = "lvo-test-\(ProcessInfo.processInfo.processIdentifier)"
        for root in ["/sys/fs/cgroup/cpu", "/sys/fs/cgroup"] {
            let outer = "\(root)/\(name)", inner = outer + "/inner"
            let files = FileManager.default
            guard (try? files.createDirectory(atPath: inner, withIntermediateDirectories: true)) != nil else { continue }
            // Version 1 has the quota in a file of its own; version 2 only where the controller is handed down.
            for (file, text) in [("cpu.cfs_quota_us", "100000"), ("cpu.max", "100000 100000")]
            where files.fileExists(atPath: "\(outer)/\(file)") {
                if (try? Data(text.utf8).write(to: URL(fileURLWithPath: "\(outer)/\(file)"))) != nil { return outer }
            }
            remove(outer)
        }
        return nil
    }()

    private static func remove(_ outer: String) {
        rmdir(outer + "/inner")
        rmdir(outer)
    }

    @Test(.enabled(if: folder != nil, "no control group can be made here"))
    func aQuotaAboveTheProcessesOwnGroupCounts() throws {
        let outer = try #require(Self.folder)
        defer { Self.remove(outer) }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        process.arguments = ["-c", "echo $$ > \(outer)/inner/cgroup.procs && exec \"$0\" --version -v", Program.path]
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        #expect(text.contains("threads: 1 (control group quota, \(outer)/"), "\(text)")
    }
}
