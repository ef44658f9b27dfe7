import Checkpoints
import Files
import Tensors
import Foundation
import Testing
import TestSupport

/// Studies of the embedded model, small ones, run as a user runs them.
@Suite(.serialized) struct StudyCommandTests {
    static let settings = [
        "prompt_limit=6", "capture.images_per_prompt=1", "capture.steps=3", "choose.features=718, 742",
        "choose.channels=3", "prior.steps=3", "prior.seeds=[1, 2]", "dream.seeds=[1, 2]", "dream.timesteps=[301]",
        "steer.pictures=2", "dream_features.steps=6", "dream_channels.steps=6", "dream.snapshot_every=3",
    ]

    private func begin(_ folder: String) throws {
        let result = try Program.run(["study", "init", folder] + Self.settings.flatMap { ["--set", $0] })
        #expect(result.status == 0, "\(result.errors)")
    }

    /// A study that nothing disturbed.
    private func undisturbed(_ folder: TemporaryFolder) throws -> [String: Data] {
        let path = folder.file("whole")
        try begin(path)
        let result = try Program.run("study", "run", path)
        #expect(result.status == 0, "\(result.errors)")
        #expect(result.output == path + "/report/index.html\n")
        return try Self.results(path)
    }

    /// The files of all stages; what belongs to a process or a time is not among them.
    static func results(
        _ study: String,
        stages: [String] = ["capture", "analysis", "prior", "pool", "search", "dream", "reference", "steer", "measure", "map"]
    ) throws -> [String: Data] {
        var files: [String: Data] = [:]
        for stage in stages {
            let names = try #require(FileManager.default.enumerator(atPath: "\(study)/\(stage)"))
            for case let name as String in names {
                let path = "\(study)/\(stage)/\(name)"
                var isFolder: ObjCBool = false
                guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder), !isFolder.boolValue else {
                    continue
                }
                files["\(stage)/\(name)"] = try Data(contentsOf: URL(fileURLWithPath: path))
            }
        }
        return files
    }

    private func start(_ arguments: String...) throws -> Process {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: Program.path)
        process.arguments = arguments
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        return process
    }

    @Test func killedAtAnyPointItContinuesToTheSameBytes() throws {
        let folder = try TemporaryFolder()
        let whole = try undisturbed(folder)
        let path = folder.file("killed")
        try begin(path)
        // Delays that grow until a run gets through: each kill falls somewhere else.
        var delay = 0.05
        var finished = false
        while !finished {
            let process = try start("study", "run", path)
            Thread.sleep(forTimeInterval: delay)
            finished = !process.isRunning && process.terminationStatus == 0
            if !finished { kill(process.processIdentifier, SIGKILL) }
            process.waitUntilExit()
            delay = delay * 1.3 + 0.05
        }
        #expect(try Self.results(path) == whole)
    }

    @Test func twoProcessesShareAFolder() throws {
        let folder = try TemporaryFolder()
        let whole = try undisturbed(folder)
        let path = folder.file("shared")
        try begin(path)
        let processes = [try start("study", "measure", path), try start("study", "capture", path)]
        processes.forEach { $0.waitUntilExit() }
        let runs = [try start("study", "run", path, "--threads", "1"), try start("study", "run", path)]
        runs.forEach { $0.waitUntilExit() }
        #expect(runs.map(\.terminationStatus) == [0, 0])
        #expect(try Self.results(path) == whole)
    }

    @Test func aSignalEndsItWith75AndTheSameCommandContinues() throws {
        let folder = try TemporaryFolder()
        let path = folder.file("stopped")
        try begin(path)
        let process = try start("study", "run", path, "--set", "prompt_limit=200")
        while process.isRunning, !FileManager.default.fileExists(atPath: path + "/capture") {
            Thread.sleep(forTimeInterval: 0.02)
        }
        kill(process.processIdentifier, SIGTERM)
        process.waitUntilExit()
        #expect(process.terminationStatus == 75)
        #expect(try Program.run("study", "run", path).status == 0)
        let status = try Program.run("study", "status", path, "--json")
        let stages = try #require(try JSON.parse(status.output).array)
        #expect(stages.map { $0["left"]?.int } == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
    }

    /// What prompts mean is part of every unit's key: the activations change, and so does what is out of date.
    @Test func embeddingsAndEmphasisArePartOfAStudy() throws {
        let folder = try TemporaryFolder()
        let people = PeopleTests.people
        let prompts = try folder.write("prompts.txt", Array("a (shiny:1.4) star\n".utf8))
        try begin(folder.path)
        func captured(_ settings: String...) throws -> Data {
            let options = (settings + ["prompts=\(prompts)"]).flatMap { ["--set", $0] }
            let status = try Program.run(["study", "status", folder.path, "--json"] + options)
            #expect(try JSON.parse(status.output).array?.first?["left"]?.int == 1, "\(settings) \(status.output)")
            let result = try Program.run(["study", "capture", folder.path] + options)
            #expect(result.status == 0, "\(result.errors)")
            let isWarned = result.errors.contains("are taken as they stand; emphasis: true reads them")
            #expect(isWarned != settings.contains("emphasis=true"), "\(result.errors)")
            let files = try Self.results(folder.path, stages: ["capture"])
            return try #require(files.first { $0.key.hasSuffix("activations.safetensors") }).value
        }
        let plain = try captured()
        let emphasized = try captured("emphasis=true")
        let embedding = try captured("embeddings=\(people)/shiny.safetensors")
        let named = try captured("embeddings=[\(people)/shiny.safetensors:star]")
        #expect(Set([plain, emphasized, embedding, named]).count == 4)
        let missing = try Program.run("study", "run", folder.path, "--set", "embeddings=none.pt:word")
        #expect(missing.status == 66 && missing.errors.contains("none.pt"), "\(missing.errors)")
    }

    @Test func theDemoIsAStudy() throws {
        let folder = try TemporaryFolder()
        let small = Self.settings.flatMap { ["--set", $0] }
        let result = try Program.run(["demo", "--output", folder.file("demo")] + small)
        #expect(result.status == 0, "\(result.errors)")
        let page = try #require(result.output.split(separator: "\n").last.map(String.init))
        #expect(page == folder.file("demo/report/index.html"))
        #expect(FileManager.default.fileExists(atPath: page))
        let before = try Self.results(folder.file("demo"))
        let again = try Program.run("demo", "--output", folder.file("demo"), "--preview", environment: Program.plainTerminal)
        #expect(again.errors.contains("feature 718 · ") && again.errors.contains("▀"))
        #expect(again.status == 0 && !again.errors.contains("units to do"))
        #expect(try Self.results(folder.file("demo")) == before)
    }

    @Test func mistakesGetOneLine() throws {
        let folder = try TemporaryFolder()
        try begin(folder.path)
        func expect(_ status: Int32, _ message: String, _ arguments: String...) throws {
            let result = try Program.run(["study"] + arguments)
            #expect(result.status == status && result.errorLines.count == 1, "\(result.errors)")
            #expect(result.errors.contains(message), "\(result.errors)")
        }
        try expect(66, "study init", "run", folder.file("none"))
        try expect(2, "nearest known one is dream.seeds", "run", folder.path, "--set", "dream.seedz=1")
        try expect(2, "shard \"3/2\"", "capture", folder.path, "--shard", "3/2")
        try expect(2, "up_blocks.9", "run", folder.path, "--set", "layers=[up_blocks.9]")
        try expect(75, "not analysed", "dream", folder.path)
        try expect(73, "--overwrite", "init", folder.path)
        try expect(66, "none.txt", "run", folder.path, "--set", "prompts=none.txt")
        try expect(2, "would do", "run", folder.path, "--memory", "2M")
        try expect(2, "a list of time steps from 0 to 999", "run", folder.path, "--set", "dream.timesteps=[1200]")
        try expect(2, "a study must repeat", "run", folder.path, "--set", "seed=-1")
        let lora = try PeopleTests.lora(folder, extra: [])
        let stranger = Weight(name: "lora_te2_text_model_x.lora_up.weight", tensor: .zeros([1]))
        try SafetensorsWriter.write(
            SafetensorsFile(path: lora).weights + [stranger], to: folder.file("both.safetensors"))
        try expect(65, "allow_unused", "capture", folder.path, "--set", "loras=both.safetensors")
        try expect(66, "none.safetensors", "run", folder.path, "--set", "loras=none.safetensors:0.5")
    }
}
