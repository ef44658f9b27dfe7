import Files
import Foundation
import Testing
import TestSupport

@Suite struct OutputFileTests {
    @Test func aFileAppearsWholeOrNotAtAll() throws {
        let folder = try TemporaryFolder()
        do {
            let file = try OutputFile(path: folder.file("a"), overwrite: false)
            try file.write([1, 2])
            #expect(try !folder.contents.contains("a"))
        }
        #expect(try folder.contents.isEmpty)
        try OutputFile.write([1, 2, 3] as [UInt8], to: folder.file("a"), overwrite: false)
        #expect(try folder.bytes("a") == [1, 2, 3])
        #expect(throws: FileFailure.exists(file: folder.file("a"))) {
            try OutputFile.write([4] as [UInt8], to: folder.file("a"), overwrite: false)
        }
        #expect(try MappedFile.contents(of: folder.file("a"), limit: 3) == [1, 2, 3])
        #expect(throws: FileFailure.self) { try MappedFile.contents(of: folder.file("a"), limit: 2) }
    }

    /// Another process, perhaps of another machine, was faster.
    @Test func theFirstOfTwoWritersWins() throws {
        let folder = try TemporaryFolder()
        let file = try OutputFile(path: folder.file("a"), overwrite: false)
        try file.write([1, 2])
        _ = try folder.write("a", [3])
        #expect(throws: FileFailure.exists(file: folder.file("a"))) { try file.commit() }
        #expect(try folder.bytes("a") == [3])
        #expect(try folder.contents.filter { !$0.hasSuffix(".tmp") } == ["a"])
    }

    @Test func whatDeadProcessesLeftOfAFileIsRemoved() throws {
        let folder = try TemporaryFolder()
        for name in [".a.host-1.tmp", ".a.other-7.tmp", ".b.host-1.tmp", "a"] { _ = try folder.write(name, [1]) }
        OutputFile.removeLeftovers(of: folder.file("a"))
        #expect(try folder.contents == [".b.host-1.tmp", "a"])
    }

    @Test func foldersAreListed() throws {
        let folder = try TemporaryFolder()
        try OutputFile.makeFolder(folder.file("b/c"))
        _ = try folder.write(".hidden", [1, 2])
        #expect(try FileSystem.entries(folder.path) == [".hidden", "b"])
        #expect(FileSystem.size(folder.file(".hidden")) == 2 && FileSystem.size(folder.file("b")) == nil)
        let failure = #expect(throws: FileFailure.self) { try FileSystem.entries(folder.file("none")) }
        #expect(failure?.kind == .missingInput)
    }

    /// A cache with a changed byte is no cache: the checksums are computed again.
    @Test func aDamagedChecksumCacheIsNotBelieved() throws {
        let folder = try TemporaryFolder()
        try OutputFile.makeFolder(folder.file("model"))
        _ = try folder.write("model/weights", [1, 2, 3])
        let path = folder.file("cache")
        let right = try ChecksumCache(path: path).fingerprint(folder: folder.file("model"), files: ["weights"])
        let text = String(decoding: try folder.bytes("cache"), as: UTF8.self)
        let sum = Fingerprint.of([1, 2, 3])
        let other = String(sum.reversed())
        #expect(text.contains(sum))
        _ = try folder.write("cache", Array(text.replacing(sum, with: other).utf8))
        #expect(try ChecksumCache(path: path).fingerprint(folder: folder.file("model"), files: ["weights"]) == right)
    }
}
