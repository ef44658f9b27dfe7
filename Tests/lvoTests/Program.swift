import Foundation
import TestSupport
import Testing

/// The built `lvo`, run as a user runs it.
enum Program {
    struct Result {
        let status: Int32
        let output: String
        let errors: String

        /// Lines on standard error.
        var errorLines: [Substring] { errors.split(separator: "\n") }
    }

    /// A terminal without graphics, wherever the tests run.
    static let plainTerminal = [
        "TERM": "xterm-256color", "COLORTERM": "truecolor", "TERM_PROGRAM": "", "KITTY_WINDOW_ID": "", "COLUMNS": "40",
    ]

    /// The test runner's, but with a cache of its own: nothing is left in the user's.
    static var environment: [String: String] {
        let cache = NSTemporaryDirectory() + "lvo-tests-\(ProcessInfo.processInfo.processIdentifier)"
        return ProcessInfo.processInfo.environment.merging(["LVO_CACHE": cache]) { $1 }
    }

    /// Test runner and program are in one build folder.
    static var path: String {
        let runner = URL(fileURLWithPath: CommandLine.arguments[0]).resolvingSymlinksInPath()
        var folder = runner.deletingLastPathComponent()
        while folder.path != "/", !FileManager.default.isExecutableFile(atPath: folder.path + "/lvo") {
            folder.deleteLastPathComponent()
        }
        return folder.path + "/lvo"
    }

    static func run(_ arguments: String..., environment: [String: String] = [:]) throws -> Result {
        try run(arguments, environment: environment)
    }

    /// What bash makes of a script in a folder of its own, `$lvo` being the program; both outputs are one.
    ///
    /// - Parameter bash: it, or what starts it.
    static func bash(_ script: String, by bash: [String] = ["bash"]) throws -> (status: Int32, output: String) {
        let (process, output, folder) = (Process(), Pipe(), try TemporaryFolder())
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = bash + ["-c", script]
        process.environment = environment.merging(["lvo": path, "LVO_THREADS": "2"]) { $1 }
        process.currentDirectoryURL = URL(fileURLWithPath: folder.path)
        (process.standardOutput, process.standardError) = (output, output)
        try process.run()
        let text = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: text, as: UTF8.self))
    }

    static func run(_ arguments: [String], environment changes: [String: String] = [:]) throws -> Result {
        try #require(FileManager.default.isExecutableFile(atPath: path), "no lvo beside the tests")
        let process = Process()
        process.executableURL = URL(fileURLWithPath: path)
        process.arguments = arguments
        process.environment = environment.merging(changes) { $1 }
        // Errors go to a file: two pipes read one after the other could block each other.
        let (output, folder) = (Pipe(), try TemporaryFolder())
        let errors = folder.file("errors")
        try Data().write(to: URL(fileURLWithPath: errors))
        process.standardOutput = output
        let errorFile: FileHandle = try #require(FileHandle(forWritingAtPath: errors))
        process.standardError = errorFile
        try process.run()
        let text = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        let errorText = try folder.bytes("errors")
        return Result(
            status: process.terminationStatus, output: String(decoding: text, as: UTF8.self),
            errors: String(decoding: errorText, as: UTF8.self))
    }
}
