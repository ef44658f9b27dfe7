import Files
import Testing

@Suite struct TextTests {
    @Test func theNearestNameIsFound() {
        #expect(Text.nearest(to: "stepz", among: ["seed", "steps", "step"]) == "steps")
        #expect(Text.nearest(to: "x", among: ["ab", "cd"]) == "ab")
        #expect(Text.nearest(to: "x", among: []) == nil)
        #expect(Text.editDistance("kitten", "sitting") == 3)
        #expect(Text.editDistance("", "abc") == 3 && Text.editDistance("é", "e") == 1)
    }

    @Test(arguments: [
        ("plain-word_1.2/x:3,4", "plain-word_1.2/x:3,4"), ("", "''"), ("two words", "'two words'"),
        ("it's here", #"'it'\''s here'"#), ("$HOME", "'$HOME'"), ("a\nb", "'a\nb'"), ("größe", "'größe'"),
    ])
    func wordsAreQuotedForAShell(word: String, quoted: String) {
        #expect(Shell.quoted(word) == quoted)
    }

    @Test func columnsAreFilled() {
        #expect(Text.digits(42, 5) == "00042" && Text.digits(123_456, 5) == "123456")
        #expect(Text.left("ab", 4) == "ab  " && Text.right("ab", 4) == "  ab" && Text.left("abcde", 4) == "abcde")
    }

    @Test func markupIsHarmless() {
        #expect(Text.htmlEscaped("<a href=\"x\">&</a>") == "&lt;a href=&quot;x&quot;&gt;&amp;&lt;/a&gt;")
    }

    /// The published test vectors of FNV-1a, 64 bits.
    @Test func hashesAreThePublishedOnes() {
        #expect(Text.fnv1a("".utf8) == 0xcbf2_9ce4_8422_2325)
        #expect(Text.fnv1a("a".utf8) == 0xaf63_dc4c_8601_ec8c)
        #expect(Text.fnv1a("foobar".utf8) == 0x8594_4171_f739_67e8)
    }
}
