import Experiments
import Files
import Foundation
import Testing

import Studies

@Suite struct SettingsTests {
    @Test func anEmptyFileIsAllDefaults() throws {
        let values = try SettingsFile.parse("", name: "study.yaml")
        #expect(values.integer("capture.images_per_prompt") == 5)
        #expect(values.integers("dream.seeds") == [1024, 1111, 4359, 3248, 1026])
        #expect(values.text("dream_features.start") == "pool")
        #expect(values.number("dream_channels.learning_rate") == 0.02)
        let paper = try SettingsFile.parse("dream: {preset: paper}", name: "study.yaml")
        #expect(paper.number("dream_features.moment") == 0.5)
        #expect(paper.number("dream_channels.total_variation") == 0.5)
    }

    @Test func theCommentedFileReadsBackAsItself() throws {
        let values = try SettingsFile.parse(
            "model: /models/a\nlayers: [a.b, c]\ncapture: {guidance_scale: 4, negative_prompt: 'yes'}", name: "s")
        #expect(try SettingsFile.parse(SettingsFile.commented(values), name: "again") == values)
        #expect(values.texts("layers") == ["a.b", "c"])
        #expect(values.text("capture.negative_prompt") == "yes")
        #expect(values.number("capture.guidance_scale") == 4)
    }

    @Test func thePresetChangesDefaultsAndTheFileStillWins() throws {
        let values = try SettingsFile.parse(
            "dream: {preset: tuned}\ndream_features: {steps: 30}", name: "s", overrides: ["dream_channels.jitter=3"])
        #expect(values.text("dream_features.rectifier") == "leaky")
        #expect(values.integer("dream_features.steps") == 30)
        #expect(values.integer("dream_channels.jitter") == 3)
        #expect(try SettingsFile.parse(SettingsFile.commented(values), name: "again") == values)
    }

    @Test func overridesWin() throws {
        let values = try SettingsFile.parse(
            "seed: 3", name: "s", overrides: ["seed=4", "dream.timesteps=[0, 301]", "sae=runs/a=b"])
        #expect(values.integer("seed") == 4)
        #expect(values.texts("dream.timesteps") == ["0", "301"])
        #expect(values.text("sae") == "runs/a=b")
    }

    @Test(arguments: [
        ("capture:\n  stepz: 3", "s, line 2: unknown key capture.stepz; the nearest known one is capture.steps"),
        ("seed: many", "s, line 1: seed: expected a whole number from 0 to 4294967295"), ("seed: many", "found \"many\""),
        ("capture: {sampler: best}", "capture.sampler: expected one of model, pndm"),
        ("capture: {steps: -4}", "found -4"), ("layers: {a: 1}", "unknown key layers.a"),
        ("[1, 2]", "expected keys with values"),
        ("capture.steps: 3\ncapture: {steps: 4}", "line 2: capture.steps is there twice"),
        ("precision: auto", "precision: expected one of f32, bf16"),
        ("seed: 1\nseed: 2", "seed"), ("vae: null", "vae: expected text, found null"),
        ("sae: ~", "sae: expected text, found null"),
        ("seed: -1", "none is drawn: a study must repeat"), ("dream: {seeds: [-1]}", "none is drawn: a study must repeat"),
        ("a: [", "not YAML"), ("capture: 3", "unknown key capture"),
    ])
    func mistakesAreNamed(text: String, message: String) {
        let failure = #expect(throws: SimpleFailure.self) { try SettingsFile.parse(text, name: "s") }
        #expect(failure?.description.contains(message) == true, "\(failure?.description ?? "")")
        #expect(failure?.kind == .usage)
    }

    /// For every key of the schema: what no value of its kind can be, in YAML.
    @Test func everyKeyRefusesWhatItCannotUse() throws {
        for setting in Schema.settings() {
            var wrong = ["{a: 1}"]
            switch setting.kind {
            case .text: wrong += ["[]", "[a, b]", "true"]
            case .path: wrong += ["''", "[]", "1.5"]
            case .paths: wrong += ["['']", "[a, [b]]", "true"]
            case .embeddings: wrong += ["['']", "[a, [b]]", "true", "'a.pt:'", "':word'"]
            case .names: wrong += ["[]", "['']", "[a, [b]]", "true"]
            case .choice: wrong += ["''", "[]", "nonsense", "1"]
            case .choices: wrong += ["''", "nonsense", "1", "[tuned, tuned]", "[tuned, [paper]]"]
            case .flag: wrong += ["[]", "1", "'true'", "maybe"]
            case .integer(let range):
                wrong += ["[]", "1.5", ".nan", ".inf", "1e30", "99999999999999999999", "''"]
                wrong += ["\(range.lowerBound - 1)", "\(range.upperBound + 1)"]
            case .seed: wrong += ["[]", "-1", "4294967296", "1.5", ".nan", "''"]
            case .seeds: wrong += ["[]", "-1", "[1, 1]", "[1.5]", "[1, a]", ".nan", "1e30", "[[1]]"]
            case .timesteps: wrong += ["[]", "1000", "-1", "[0, valleys]", ".nan", "1.5", "''"]
            case .number(let range):
                wrong += ["[]", ".nan", ".inf", "-.inf", "1e300", "''"]
                wrong += ["\(range.lowerBound - 1)", "\(range.upperBound * 2)"]
            case .parameter(let row):
                wrong += ["[]", "''", "[1]"]
                switch row.kind {
                case .flag: wrong += ["1", "'true'", "maybe"]
                case .choice: wrong += ["nonsense", "1", "true"]
                case .integer(let range): wrong += [".nan", "1e30", "1.5", "\(range.lowerBound - 1)", "\(range.upperBound + 1)"]
                case .number(let range): wrong += [".nan", ".inf", "\(range.lowerBound - 1)", "\(range.upperBound * 2)"]
                case .positive(let limit): wrong += [".nan", ".inf", "0", "-1", "\(limit * 2)"]
                case .location: wrong += ["1", "true", "middle", "'3'", "peak:0", "'mask:'", "'-1,2'"]
                }
            case .features: wrong += ["[]", "most-loud:3", "most-active:0", "-1", "9-3", "1.5"]
            }
            for value in wrong {
                let failure = #expect(throws: SimpleFailure.self, "\(setting.key)=\(value)") {
                    try SettingsFile.parse("", name: "s", overrides: ["\(setting.key)=\(value)"])
                }
                #expect(failure?.kind == .usage)
                #expect(failure?.description.contains(setting.key) == true, "\(failure?.description ?? "")")
            }
        }
    }

    @Test func badOverridesAreNamed() {
        let failure = #expect(throws: SimpleFailure.self) {
            try SettingsFile.parse("", name: "s", overrides: ["dream.sede=3"])
        }
        #expect(failure?.description.hasPrefix("setting dream.sede=3: unknown key dream.sede; the nearest") == true)
        #expect(throws: SimpleFailure.self) { try SettingsFile.parse("", name: "s", overrides: ["seed"]) }
        let yaml = #expect(throws: SimpleFailure.self) { try SettingsFile.parse("", name: "s", overrides: ["vae=[a"]) }
        #expect(yaml?.description == "setting vae=[a: its value is not YAML; quotes around it make it a text")
    }

    @Test func promptsAreReadOnceEach() throws {
        let path = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID().uuidString).jsonl").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        let lines = [
            #"{"text": "a red circle", "factors": {"color": "red"}}"#, "", #"{"text": "a star"}"#, #"{"text": "a star"}"#,
        ]
        try lines.joined(separator: "\n").write(toFile: path, atomically: true, encoding: .utf8)
        let prompts = try Prompt.read(path)
        #expect(prompts == [Prompt(text: "a red circle", factors: ["color": "red"]), Prompt(text: "a star")])
        #expect(prompts[0].seed(study: 1, image: 0) != prompts[0].seed(study: 1, image: 1))
        #expect(prompts[0].seed(study: 1, image: 0) == Prompt(text: "a red circle").seed(study: 1, image: 0))
        let joined = try Prompt.parse(["\u{FEFF}a star", " \u{FEFF}a ring"], name: "joined.txt")
        #expect(joined.map(\.text) == ["a star", "a ring"])
        let line = #"{"text": "a", "seed": null, "factors": {"n": 3, "big": true, "x": null}}"#
        let numbers = try Prompt.parse([line], name: "n.jsonl")
        #expect(numbers[0].factors == ["n": "3", "big": "true"])
        for (line, message) in [
            (#"{"text": "a", "seed": 7}"#, "line 1: seed is not read from prompts"),
            (#"{"text": "a", "negative_prompt": "b"}"#, "line 1: negative_prompt is not read"),
            (#"{"text": "a", "factors": ["red"]}"#, "line 1: factors: expected an object, found an array"),
            (#"{"text": "a", "factors": {"c": [1]}}"#, "line 1: factor c: expected a text or a number, found an array"),
        ] {
            let failure = #expect(throws: SimpleFailure.self) { try Prompt.parse([line], name: "n.jsonl") }
            #expect(failure?.description.contains(message) == true, "\(failure?.description ?? "")")
        }
        try "{\"no\": 1}".write(toFile: path, atomically: true, encoding: .utf8)
        let failure = #expect(throws: SimpleFailure.self) { try Prompt.read(path) }
        #expect(failure?.description.contains("line 1") == true)
    }
}
