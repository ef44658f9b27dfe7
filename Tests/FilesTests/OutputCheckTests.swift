import Files
import Foundation
import TestSupport
import Testing

/// What would make writing fail is noticed before the work.
@Suite struct OutputCheckTests {
    private static func reason(_ body: () throws -> Void) -> String? {
        do {
            try body()
            return nil
        } catch { return "\(error)" }
    }

    @Test func foldersThatAreThereOrCanBeMade() throws {
        let folder = try TemporaryFolder()
        for name in ["", "/", "new", "new/and/deeper/", "new//and"] { try OutputCheck.folder("\(folder.path)/\(name)") }
        try OutputCheck.folder("no-such-folder")
        #expect(try folder.contents.isEmpty)
    }

    @Test func aFileInPlaceOfAFolder() throws {
        let folder = try TemporaryFolder()
        let file = try folder.write("file", [1])
        #expect(Self.reason { try OutputCheck.folder(file) } == "\(file): cannot be written: it is not a folder")
        #expect(
            Self.reason { try OutputCheck.folder("\(file)/below/it") }
                == "\(file)/below/it: cannot be written: \(file) is not a folder")
        #expect(Self.reason { try OutputFile.makeFolder("\(file)/below") }?.contains("not a folder") == true)
    }

    @Test func files() throws {
        let folder = try TemporaryFolder()
        let file = try folder.write("file", [1])
        try OutputCheck.file(folder.file("new"), overwrite: false)
        try OutputCheck.file(file, overwrite: true)
        #expect(throws: FileFailure.exists(file: file)) { try OutputCheck.file(file, overwrite: false) }
        #expect(Self.reason { try OutputCheck.file(folder.path, overwrite: true) }?.contains("it is a folder") == true)
        #expect(Self.reason { try OutputCheck.file(folder.file("no/new"), overwrite: true) }?.contains("no folder") == true)
        #expect(Self.reason { try OutputCheck.file("\(file)/new", overwrite: true) }?.contains("no folder") == true)
    }

    /// The root user may write everywhere.
    @Test(.enabled(if: getuid() != 0)) func whatMayNotBeWritten() throws {
        let folder = try TemporaryFolder()
        try FileManager.default.setAttributes([.posixPermissions: 0o555], ofItemAtPath: folder.path)
        #expect(Self.reason { try OutputCheck.folder(folder.file("new")) }?.contains("cannot be written") == true)
        #expect(Self.reason { try OutputCheck.file(folder.file("new"), overwrite: true) }?.contains("cannot be") == true)
    }
}
