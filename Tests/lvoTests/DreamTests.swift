import Checkpoints
import Experiments
import Files
import Foundation
import Pictures
import Testing
import TestSupport

/// `lvo dream` and `lvo demo` on the embedded model, as a user runs them.
@Suite struct DreamTests {
    private static let layer = "up_blocks.2.attentions.1"

    /// A dream of a few steps, with `changes` to its options (nil: left out).
    private func dream(
        _ folder: TemporaryFolder, _ changes: [String: [String]?] = [:], output: String = "out",
        environment: [String: String] = [:]
    ) throws -> Program.Result {
        var options: [String: [String]?] = [
            "--model": ["embedded"], "--layer": [Self.layer], "--feature": ["718"], "--sae": ["embedded"],
            "--timestep": ["301"], "--seed": ["7"], "--steps": ["3"], "--output": [folder.file(output)],
        ]
        for (key, value) in changes { options.updateValue(value, forKey: key) }
        let arguments = options.sorted { $0.key < $1.key }.flatMap { key, value in value.map { [key] + $0 } ?? [] }
        return try Program.run(["dream"] + arguments, environment: environment)
    }

    private func stem(_ name: String, timestep: Int = 301, seed: Int = 7) -> String {
        "out/\(Self.layer)_\(name)_t\(timestep)_seed\(seed)"
    }

    @Test func writesPictureLatentAndRecord() throws {
        let folder = try TemporaryFolder()
        let result = try dream(folder, ["--every": ["2"]])
        #expect(result.status == 0, "\(result.errors)")
        let stem = stem("feature-718")
        #expect(result.output == folder.file(stem + ".png") + "\n")
        let picture = try PNG.read(folder.file(stem + ".png"))
        #expect((picture.bitmap.width, picture.bitmap.height) == (64, 64))
        let text = try #require(picture.text.first { $0.keyword == "lvo" }).text
        let settings = try JSON.parse(text)
        #expect(settings["objective"] == "feature 718" && settings["settings"]?["steps"] == 3)
        #expect(settings["init"] == "pool:1024" && settings["settings"]?["timestep_spread"] == 200, "clear by default")
        let latent = try SafetensorsFile(path: folder.file(stem + ".safetensors")).weight("latent")
        #expect(latent.shape == [1, 4, 16, 16])
        let record = try JSON.read(folder.file(stem + ".json"))
        #expect(record["history"]?["activation"]?.array?.count == 3)
        #expect(record["history"]?["loss"]?.array?.compactMap(\.double).count == 3)
        #expect((record["runtime"]?["peak_memory_bytes"]?.int ?? 0) > 1_000_000)
        #expect(record["diverged_at"] == .null)
        #expect(FileManager.default.fileExists(atPath: folder.file(stem + "_step0002.png")))
    }

    @Test func animatesAndShowsInTheTerminal() throws {
        let folder = try TemporaryFolder()
        let kitty = ["TERM": "xterm-kitty"]
        let result = try dream(
            folder, ["--every": ["1"], "--animation": [], "--preview": []], environment: kitty)
        #expect(result.status == 0, "\(result.errors)")
        let stem = stem("feature-718")
        #expect(result.output == folder.file(stem + "_course.png") + "\n" + folder.file(stem + ".png") + "\n")
        let bytes = [UInt8](try folder.bytes(stem + "_course.png"))
        // Before the first step, after each of three; a reader without animation sees the first.
        #expect(bytes.count(of: "fcTL") == 4)
        #expect(try PNG.read(folder.file(stem + "_course.png")).text.contains { $0.keyword == "lvo" })
        #expect(result.errors.contains("\u{1B}_Gf=100,a=T,"))
        let latent = folder.file(stem + ".safetensors")
        let decoded = try Program.run(
            "decode", "--model", "embedded", "--latent", latent, "--output", folder.file("x.png"), "--preview",
            environment: Program.plainTerminal)
        #expect(decoded.output == folder.file("x.png") + "\n")
        #expect(decoded.errors.filter { $0 == "▀" }.count == 40 * 20)
        #expect(try dream(folder, ["--animation": []], output: "b").status == 2)
    }

    /// The command in the picture makes the same bytes again, whatever the threads.
    @Test func aPictureRepeatsItself() throws {
        let folder = try TemporaryFolder()
        let first = try dream(
            folder, ["--seed": ["7", "8"], "--rectifier": ["leaky"], "--no-spectral-filter": []],
            environment: ["LVO_THREADS": "1"])
        #expect(first.status == 0, "\(first.errors)")
        let stem = stem("feature-718", seed: 8)
        let text = try #require(PNG.read(folder.file(stem + ".png")).text.first { $0.keyword == "lvo" }).text
        let command = try #require(JSON.parse(text)["command"]?.string)
        var arguments = command.split(separator: " ").map(String.init)
        #expect(arguments.removeFirst() == "lvo" && arguments.removeLast() == "DIR")
        let second = try Program.run(arguments + [folder.file("again")], environment: ["LVO_THREADS": "2"])
        #expect(second.status == 0, "\(second.errors)")
        for ending in [".png", ".safetensors"] {
            let again = stem.replacing("out/", with: "again/") + ending
            #expect(try folder.bytes(again) == folder.bytes(stem + ending))
        }
    }

    @Test func severalChannelsTimeStepsAndSeedsInOneCommand() throws {
        let folder = try TemporaryFolder()
        let result = try dream(
            folder,
            [
                "--feature": nil, "--sae": nil, "--channel": ["3", "5"], "--timestep": ["1", "500"],
                "--seed": ["1", "2"], "--coupling": ["independent"], "--batch": ["3"], "--json": [],
                "--sheet": [folder.file("sheet.png")],
            ])
        #expect(result.status == 0, "\(result.errors)")
        let events = try result.output.split(separator: "\n").map { try JSON.parse(String($0)) }
        #expect(events.first?["event"] == "start" && events.last?["event"] == "done")
        #expect(events.filter { $0["event"] == "result" }.count == 8)
        // Two time steps of two batches (3 + 1) of 3 steps.
        #expect(events.filter { $0["event"] == "step" }.count == 12)
        #expect(result.errors.isEmpty)
        let sheet = try PNG.read(folder.file("sheet.png")).bitmap
        #expect(sheet.width > 2 * 192 && sheet.width < 3 * 192 && sheet.height > 4 * 192)
        for channel in [3, 5] {
            for timestep in [1, 500] {
                for seed in [1, 2] {
                    let stem = stem("channel-\(channel)", timestep: timestep, seed: seed)
                    #expect(FileManager.default.fileExists(atPath: folder.file(stem + ".png")))
                }
            }
        }
    }

    @Test func sumsDirectionsAndStartsFromFiles() throws {
        let folder = try TemporaryFolder()
        let direction = SyntheticWeights(name: "direction", shape: [64]).tensor()
        try SafetensorsWriter.write([("direction", direction)], to: folder.file("v.safetensors"))
        let start = SyntheticWeights(name: "latent", shape: [4, 12, 20]).tensor()
        try SafetensorsWriter.write([("latent", start)], to: folder.file("z.safetensors"))
        let result = try dream(
            folder,
            [
                "--direction": [folder.file("v.safetensors")], "--weights": ["1,-0.5"], "--minimize": [],
                "--init": [folder.file("z.safetensors")], "--diversity": ["1"], "--seed": ["7", "9"], "--preset": ["sae"],
            ])
        #expect(result.status == 0, "\(result.errors)")
        let record = try JSON.read(folder.file(stem("-feature-718-+-0.5-direction-v") + ".json"))
        #expect(record["objective"] == "-feature 718 + 0.5 direction v")
        #expect(record["latent_size"] == [12, 20])
        #expect((record["history"]?["diversity"]?.array?.first?.double ?? 0) > 0)
    }

    /// One line each, and the exit code that tells what kind of mistake it was.
    @Test func mistakes() throws {
        let folder = try TemporaryFolder()
        func expect(_ changes: [String: [String]?], _ status: Int32, _ words: String, output: String = "out") throws {
            let result = try dream(folder, changes, output: output)
            #expect(result.status == status, "\(changes): \(result.errors)")
            #expect(result.errorLines.count == 1, "\(changes): \(result.errors)")
            #expect(result.errors.contains(words), "\(changes): \(result.errors)")
            #expect(result.output.isEmpty)
        }
        try expect(["--model": [folder.file("none")]], 66, "no such folder")
        try expect(["--model": [folder.path]], 66, "not a model")
        try expect(["--layer": ["up_blocks.2.attention.1"]], 2, "up_blocks.2.attentions.1")
        try expect(["--feature": ["768"]], 2, "features 0 to 767")
        try expect(["--feature": ["-1"]], 2, "--feature")
        try expect(["--feature": nil, "--sae": nil], 2, "--channel")
        try expect(["--feature": nil, "--sae": nil, "--channel": ["64"]], 2, "channels 0 to 63")
        try expect(["--sae": nil], 2, "--sae")
        try expect(["--sae": [folder.file("none")]], 66, "no sparse autoencoder")
        try expect(["--layer": ["mid_block.attentions.0"]], 66, "no sparse autoencoder")
        try expect(["--timestep": ["1000"]], 2, "schedule has 0…999")
        try expect(["--timestep": ["half"]], 2, "half")
        try expect(["--steps": ["-5"]], 2, "found -5")
        try expect(["--moment": ["-1"]], 2, "found -1.0")
        try expect(["--steps": ["0"]], 2, "from 1 to")
        try expect(["--learning-rate": ["nan"]], 2, "--learning-rate")
        try expect(["--rectifier": ["soft"]], 2, "soft")
        try expect(["--where": ["middle"]], 2, "mask:FILE")
        try expect(["--where": ["8,0"]], 2, "x is 0 to 7")
        try expect(["--where": ["mask", folder.file("none.png")]], 66, "none.png")
        try expect(["--robustness": ["4"]], 2, "robustness")
        try expect(["--seed": ["1", "1"]], 2, "twice")
        try expect(["--batch": ["2"], "--preset": ["sae"]], 2, "independent")
        try expect(["--diversity": ["1"], "--coupling": ["independent"]], 2, "diversity")
        try expect(["-W": ["66"]], 2, "multiple of 4")
        try expect(["-W": ["16384"], "-H": ["16384"]], 2, "free")
        try expect(["--init": [folder.file("none.safetensors")]], 66, "none.safetensors")
        let text = try folder.write("text.safetensors", Array("no tensors here".utf8))
        try expect(["--init": [text]], 65, "text.safetensors")
        try expect(["--direction": [text]], 65, "text.safetensors")
        try expect(["--weights": ["1,2"]], 2, "2 numbers for 1")
        try expect([:], 73, "cannot be written", output: "text.safetensors/out")
        try expect(["--output": ["/proc/none"]], 73, "/proc/none")
    }

    /// Every row of the table is an option with the row's help, and every option of that group is a row.
    @Test func optionsAreTheTable() throws {
        let help = try Program.run("dream", "--experimental-dump-help").output
        let arguments = try #require(JSON.parse(help)["command"]?["arguments"]?.array)
        let options = arguments.filter { $0["sectionTitle"] == "Optimization" }
        func option(_ name: String) -> JSON? {
            options.first { $0["names"]?.array?.contains { $0["name"]?.string == name } == true }
        }
        for row in DreamParameters.all {
            let found = try #require(option(row.option), "no option for \(row.key)")
            #expect(found["abstract"]?.string?.contains("\(row.help) \(row.defaults)") == true, "\(row.key)")
        }
        let names = Set(options.compactMap { $0["preferredName"]?["name"]?.string })
        let flags = DreamParameters.all.filter { $0.kind == .flag }.map { "no-" + $0.option }
        #expect(names == Set(DreamParameters.all.map(\.option) + flags + ["preset", "robustness"]))
    }

    /// A schedule of 500 steps has no time step 700: one line, not a trap.
    @Test func shortSchedulesRefuseLaterTimeSteps() throws {
        let folder = try TemporaryFolder()
        let model = folder.file("model")
        try FileManager.default.copyItem(atPath: EmbeddedModel.model(), toPath: model)
        let path = model + "/scheduler/scheduler_config.json"
        var scheduler = try #require(JSON.read(path).object)
        scheduler["num_train_timesteps"] = 500
        try JSON.object(scheduler).write(to: path, overwrite: true)
        let dreamt = try dream(folder, ["--model": [model], "--timestep": ["700"]])
        let probed = try Program.run(
            "probe", "--model", model, "--layer", Self.layer, "--timestep", "700", "--seed", "1", "--output",
            folder.file("p.safetensors"))
        let studied = try Program.run(
            ["study", "init", folder.file("study"), "--set", "model=\(model)", "--set", "dream.timesteps=[700]"])
        #expect(studied.status == 0)
        let ran = try Program.run("study", "status", folder.file("study"))
        for result in [dreamt, probed, ran] {
            #expect(result.status == 2 && result.errorLines.count == 1, "\(result.errors)")
            #expect(result.errors.contains("time step 700: this model's schedule has 0…499"))
        }
        #expect(try dream(folder, ["--model": [model], "--timestep": ["499"]]).status == 0)
    }

    @Test func nothingIsOverwrittenUnasked() throws {
        let folder = try TemporaryFolder()
        #expect(try dream(folder).status == 0)
        let before = try folder.bytes(stem("feature-718") + ".json")
        let second = try dream(folder)
        #expect(second.status == 73 && second.errors.contains("--overwrite") && second.errorLines.count == 1)
        #expect(try folder.bytes(stem("feature-718") + ".json") == before)
        #expect(try dream(folder, ["--overwrite": []]).status == 0)
    }
}

extension [UInt8] {
    /// How often a chunk's type stands in a PNG.
    fileprivate func count(of type: String) -> Int {
        let wanted = Array(type.utf8)
        return indices.dropLast(wanted.count - 1).count { self[$0..<$0 + wanted.count] == wanted[...] }
    }
}
