import Foundation
import TestSupport
import Testing

/// Standard output and standard error that are full or closed.
@Suite struct OutputTests {
    /// What a shell makes of `lvo ARGUMENTS`, with redirections.
    private func shell(_ arguments: String) throws -> (status: Int32, errors: String) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        process.arguments = ["-c", "\"$0\" \(arguments)", Program.path]
        let (folder, errors) = (try TemporaryFolder(), Pipe())
        process.currentDirectoryURL = URL(fileURLWithPath: folder.path)
        process.standardOutput = FileHandle.nullDevice
        process.standardError = errors
        try process.run()
        let text = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        return (process.terminationStatus, text)
    }

    @Test(arguments: [
        "layers --model embedded", "layers --model embedded --json", "--version", "--version -v", "--help", "study init s",
        "help study",
    ])
    func aFullDeviceIsCannotWrite(command: String) throws {
        let result = try shell(command + " >/dev/full")
        #expect(result.status == 73)
        #expect(result.errors == "lvo: standard output: cannot be written: No space left on device\n")
    }

    @Test func closedStandardOutputIsCannotWriteAndFilesAreWhole() throws {
        let result = try shell("study init s >&-; code=$?; test -s s/study.yaml && exit $code")
        #expect(result.status == 73)
        #expect(result.errors == "lvo: standard output: cannot be written: Bad file descriptor\n")
    }

    @Test(arguments: ["2>&-", "2>/dev/full"])
    func unheardErrorsKeepTheirCode(redirection: String) throws {
        #expect(try shell("layers --model none " + redirection).status == 66)
        #expect(try shell("layers --model embedded --nonsense " + redirection).status == 2)
        #expect(try shell("generate --prompt 'a red star' --model embedded --steps 2 --output o " + redirection).status == 0)
    }
}
