import Files
import Testing

@Suite struct JSONTests {
    @Test func parsesEveryKindOfValue() throws {
        let json = try JSON.parse(#" {"a": [1, -2.5e3, true, false, null], "b": "x\u00e9\ud83d\ude00\n\/", "c": {}} "#)
        let expected: JSON = ["a": [1, -2500.0, true, false, .null], "b": "xé😀\n/", "c": [:]]
        #expect(json == expected)
        #expect(json.object?.keys == ["a", "b", "c"])
    }

    @Test func wholeNumbersStayExact() throws {
        #expect(try JSON.parse("9223372036854775807").int == Int.max)
        #expect(try JSON.parse("-9223372036854775808").int == Int.min)
        #expect(try JSON.parse("9223372036854775808") == .number(0x1p63))
        #expect(try JSON.parse("9223372036854775808").int == nil)
        #expect(try JSON.parse("2.0").int == 2)
        #expect(try JSON.parse("2.5").int == nil)
        #expect(try JSON.parse("-0.0").double?.sign == .minus)
    }

    @Test(arguments: [
        ("", 0), ("[1,]", 3), ("[1 2]", 3), ("{\"a\":1,}", 7), ("{\"a\" 1}", 5), ("{a:1}", 1), ("01", 2), ("1.", 2),
        (".5", 0),
        ("+1", 0), ("1e", 2), ("1e999", 5), ("NaN", 0), ("Infinity", 0), ("-", 1), ("tru", 3), ("\"\u{1}\"", 1),
        ("\"abc", 4),
        ("\"\\x\"", 3), ("\"\\u12g4\"", 5), ("\"\\ud800\"", 7), ("\"\\ud800\\u0041\"", 13), ("\"\\udc00\"", 7),
        ("1 1", 2), ("[", 1), ("{\"a\":1", 6), ("{\"a\":1,\"\\u0061\":2}", 7), ("'a'", 0), ("[1]]", 3), ("\"\\", 2),
    ])
    func refuses(_ text: String, at offset: Int) {
        #expect { try JSON.parse(text) } throws: { ($0 as? JSONFailure)?.offset == offset }
    }

    @Test func refusesInvalidUTF8() {
        #expect(throws: JSONFailure.self) { try JSON.parse([0x22, 0xFF, 0x22]) }
        #expect(throws: JSONFailure.self) { try JSON.parse([0x22, 0xC0, 0x80, 0x22]) }
        #expect(throws: JSONFailure.self) { try JSON.parse([0x22, 0xED, 0xA0, 0x80, 0x22]) }
    }

    @Test func depthIsLimited() throws {
        let million = [UInt8](repeating: UInt8(ascii: "["), count: 1_000_000)
        #expect { try JSON.parse(million) } throws: { "\($0)" == "JSON, byte 64: nested deeper than 64" }
        let deepest = String(repeating: "[", count: 64) + String(repeating: "]", count: 64)
        #expect(try JSON.parse(deepest).array?.count == 1)
    }

    @Test func numberOfValuesIsLimited() {
        var limits = JSON.Limits()
        limits.values = 4
        #expect(throws: Never.self) { try JSON.parse("[1,2,3]", limits: limits) }
        #expect(throws: JSONFailure.self) { try JSON.parse("[1,2,3,4]", limits: limits) }
        limits.bytes = 3
        #expect(throws: JSONFailure.self) { try JSON.parse("[1,2,3]", limits: limits) }
    }

    @Test func serializesDeterministically() throws {
        let json: JSON = [
            "b": [1, 0.1, .number(.nan), .number(-.infinity)], "a": ["ü\"\\\u{1}", .null], "c": [:], "d": [],
        ]
        #expect(json.serialized() == #"{"a":["ü\"\\\u0001",null],"b":[1,0.1,null,null],"c":{},"d":[]}"#)
        let reordered: JSON = ["d": [], "c": [:], "b": json["b"] ?? .null, "a": json["a"] ?? .null]
        #expect(reordered.serialized(pretty: true) == json.serialized(pretty: true))
        #expect(json.serialized(pretty: true).hasPrefix("{\n  \"a\": [\n    \"ü"))
        #expect(json.serialized(pretty: true).hasSuffix("\"d\": []\n}\n"))
    }

    @Test(arguments: [
        0.1, 1e-45, .leastNonzeroMagnitude, 1.7976931348623157e308, 123_456_789_012_345_680, -0.0, 1 / 3.0,
    ])
    func numbersSurviveTheRoundTrip(_ value: Double) throws {
        let back = try #require(JSON.parse(JSON.number(value).serialized()).double)
        #expect(back.bitPattern == value.bitPattern)
    }

    @Test func floatsKeepTheirShortDigits() {
        #expect(JSON.float(0.1).serialized() == "0.1")
        #expect(JSON.float(.nan).serialized() == "null")
    }

    @Test func objectsKeepOrderAndForget() {
        var object = JSONObject()
        object["z"] = 1
        object["a"] = 2
        object["z"] = 3
        #expect(object.map(\.key) == ["z", "a"])
        object["z"] = nil
        #expect(object.keys == ["a"])
        #expect(object.count == 1)
    }

    @Test func configurationsNameWhatIsWrong() throws {
        let config = try ConfigFile(file: "unet/config.json", json: ["a": 1, "b": .null, "c": "x", "d": [1, "y"]])
        #expect(try config.int("a") == 1)
        #expect(try config.int("b", default: 7) == 7)
        #expect(
            throws: FileFailure.badKey(
                file: "unet/config.json", key: "c", expected: "a whole number", found: "a string")
        ) { try config.int("c") }
        #expect(throws: FileFailure.self) { try config.int("b") }
        #expect(throws: FileFailure.self) { try config.ints("d") }
        #expect(throws: FileFailure.self) { try ConfigFile(file: "x", json: [1]) }
        #expect(throws: FileFailure.self) { try ConfigFile(file: "x", json: ["s": 0]).size("s") }
    }
}
