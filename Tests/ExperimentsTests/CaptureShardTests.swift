import Experiments
import Files
import Foundation
import Ops
import SparseAutoencoders
import StableDiffusion
import TestSupport
import Testing
import WorkUnits

/// A capture divided between processes.
@Suite struct CaptureShardTests {
    private static let layer = "mid_block.attentions.0"

    private static func capture(
        steps: Int = 2, picturesPerFile: Int = 1, check: @escaping () throws -> Void = {}
    ) throws -> Capture {
        let prompts = ["a red star", "a blue ring"].map { Prompt(text: $0) }
        var request = CaptureRequest(layers: [layer, "up_blocks.2.attentions.1"], prompts: prompts)
        (request.parameters.steps, request.parameters.sampler, request.limit) = (steps, .ddim, 5)
        let session = try ModelSession(ModelReference(EmbeddedModel.name), engine: Engine(threads: 1))
        return try Capture(session, request, picturesPerFile: picturesPerFile, check: check)
    }

    /// Into one folder or into three.
    @Test func howeverItIsDividedItIsTheSameStore() throws {
        let folder = try TemporaryFolder()
        _ = try Self.capture().run(into: folder.file("whole"))
        for shard in ["2/3", "0/3", "1/3"] {
            _ = try Self.capture().run(into: folder.file("one"), shard: Shard(shard))
            _ = try Self.capture().run(into: folder.file("part \(shard.first!)"), shard: Shard(shard))
        }
        let whole = try contents(folder.file("whole"))
        #expect(whole.count == 12)
        #expect(try contents(folder.file("one")) == whole)
        var parts: [String: Data] = [:]
        for part in 0..<3 { try parts.merge(contents(folder.file("part \(part)"))) { first, _ in first } }
        #expect(parts == whole)
        let folders = ActivationFolders((0..<3).map { folder.file("part \($0)") })
        #expect(try folders.layers().count == 2 && folders.stores(of: Self.layer).count == 1)
        #expect(try folders.complete()[0][0].fileCount == 5)
    }

    /// The pictures of an unfinished file are kept, and drawn on by whoever takes it next.
    @Test func stoppedWithinAFileItGoesOnAtThePicture() throws {
        let folder = try TemporaryFolder()
        _ = try Self.capture(picturesPerFile: 4).run(into: folder.file("whole"))
        var (calls, drawn) = (0, [Int]())
        func run(_ most: Int) throws {
            calls = 0
            let capture = try Self.capture(picturesPerFile: 4) {
                calls += 1
                if calls > most { throw Enough() }
            }
            _ = try capture.run(into: folder.file("parts")) { if case .drew(let file, _) = $0 { drawn.append(file) } }
        }
        #expect(throws: Enough.self) { try run(3) }
        #expect(throws: Enough.self) { try run(1) }
        #expect(throws: Enough.self) { try run(4) }
        #expect(FileSystem.isFolder(folder.file("parts/partial/capture/0")))
        try run(100)
        #expect(calls == 4)
        #expect(drawn == [0, 0, 0, 0, 0, 0, 0, 0, 0, 1])
        #expect(try contents(folder.file("parts")) == contents(folder.file("whole")))
    }

    /// Another process is at a file, and then writes it or gives it back.
    @Test(arguments: [true, false]) func aFileThatAnotherIsAtIsWaitedFor(isWritten: Bool) throws {
        let folder = try TemporaryFolder()
        _ = try Self.capture().run(into: folder.file("whole"))
        let other = try Claims(study: folder.file("parts"))
        #expect(try other.take(stage: "capture", unit: "1"))
        var waits = 0
        _ = try Self.capture().run(into: folder.file("parts")) { event in
            guard case .waiting(let files) = event else { return }
            waits += 1
            #expect(files == 1)
            if isWritten {
                _ = try? Self.copyFile(1, folder)
            } else {
                other.release(stage: "capture", unit: "1")
            }
        }
        other.release(stage: "capture", unit: "1")
        #expect(waits == 1)
        #expect(try contents(folder.file("parts")) == contents(folder.file("whole")))
    }

    private static func copyFile(_ number: Int, _ folder: TemporaryFolder) throws {
        for layer in try ActivationFolders([folder.file("whole")]).layers() {
            let name = "\(layer)/shard-0000\(number).safetensors"
            try FileManager.default.copyItem(atPath: folder.file("whole/\(name)"), toPath: folder.file("parts/\(name)"))
        }
    }

    /// What a process that was killed while writing left, on another machine too.
    @Test func whatAKilledProcessLeftIsRemoved() throws {
        let folder = try TemporaryFolder()
        _ = try Self.capture().run(into: folder.file("whole"))
        _ = try Self.capture().run(into: folder.file("parts"))
        let file = "parts/\(Self.layer)/shard-00001.safetensors"
        try FileManager.default.moveItem(
            atPath: folder.file(file), toPath: folder.file("parts/\(Self.layer)/.shard-00001.safetensors.node7-12.tmp"))
        _ = try Self.capture().run(into: folder.file("parts"))
        #expect(try contents(folder.file("parts")) == contents(folder.file("whole")))
    }

    @Test func otherSettingsAreRefusedByName() throws {
        let folder = try TemporaryFolder()
        _ = try Self.capture().run(into: folder.path, shard: Shard("0/2"))
        for (other, words) in [(try Self.capture(steps: 3), "sampler_steps 2, not 3"),
            (try Self.capture(picturesPerFile: 2), "pictures_per_shard 1, not 2")]
        {
            let failure = #expect(throws: SimpleFailure.self) { try other.run(into: folder.path, shard: Shard("1/2")) }
            #expect(failure?.kind == .usage && "\(failure!)".contains(words), "\(failure!)")
        }
    }
}
