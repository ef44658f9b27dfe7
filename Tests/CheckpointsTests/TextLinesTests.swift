import Files
import Testing
import TestSupport

/// Text as machines write it.
@Suite struct TextLinesTests {
    @Test(arguments: [
        ("a\nb\n", ["a", "b"]), ("a\r\nb\r\n", ["a", "b"]), ("a\rb", ["a", "b"]), ("a\n\nb", ["a", "", "b"]),
        ("a\r\n\r\nb", ["a", "", "b"]), ("a\n\rb", ["a", "", "b"]), ("", []), ("\n", [""]), ("\u{FEFF}a\n", ["a"]),
        ("e\u{301}\r\nü", ["e\u{301}", "ü"]), ("a\u{85}b\u{2028}c", ["a\u{85}b\u{2028}c"]),
    ]) func lines(_ text: String, _ expected: [String]) throws {
        let folder = try TemporaryFolder()
        #expect(try TextLines.read(folder.write("x.txt", Array(text.utf8))) == expected)
    }

    @Test(arguments: [
        ([0xFF, 0xFE, 0x61, 0, 0x0A, 0], "its text is UTF-16LE; convert it: iconv -f UTF-16LE -t UTF-8"),
        ([0xFE, 0xFF, 0, 0x61], "its text is UTF-16BE"), ([0x61, 0, 0x62, 0, 0x63, 0], "its text is UTF-16LE"),
        ([0, 0x61, 0, 0x62, 0, 0x63], "its text is UTF-16BE"), ([0xFF, 0xFE, 0, 0, 0x61, 0, 0, 0], "UTF-32LE"),
        ([0x61, 0x0A, 0x6E, 0x61, 0xEF, 0x76, 0x65], "line 2 is not UTF-8; Latin-1 or Windows-1252?"),
        ([0x61, 0x0D, 0x0A, 0x62, 0x0D, 0x0A, 0x63, 0, 0x63, 0x63, 0x63], "line 3 holds a NUL byte"),
        ([0x61, 0xC3], "line 1 is not UTF-8"),
    ] as [([UInt8], String)]) func whatIsNotUTF8IsNamed(_ bytes: [UInt8], _ message: String) throws {
        let folder = try TemporaryFolder()
        let path = try folder.write("x.txt", bytes)
        #expect { try TextLines.read(path) } throws: { "\($0)".hasPrefix(path) && "\($0)".contains(message) }
    }

    @Test func foldersAndMissingFilesAreNamed() throws {
        let folder = try TemporaryFolder()
        #expect { try TextLines.read(folder.path) } throws: { "\($0)".contains("it is a folder") }
        #expect { try TextLines.read(folder.file("none")) } throws: { ($0 as? FileFailure)?.kind == .missingInput }
    }
}
