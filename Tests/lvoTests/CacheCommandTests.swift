import Checkpoints
import Files
import Foundation
import TestSupport
import Testing

/// `lvo cache` on files that are there.
@Suite struct CacheCommandTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func run(_ arguments: String..., limit: String? = nil) throws -> Program.Result {
        var environment = ["LVO_CACHE": folder.path]
        environment["LVO_CACHE_LIMIT"] = limit
        return try Program.run(["cache"] + arguments, environment: environment)
    }

    private func fill(_ models: [String]) throws {
        let store = PackedStore(folder: folder.file("packed"), limit: .max)
        for model in models {
            let about: JSON = ["model": .string(model), "network": "unet", "precision": "f32", "instruction_set": "avx2"]
            _ = try store.file(.string(model), about: about, size: 1_000_000) { writer in
                try [UInt8](repeating: 7, count: 1_000_000).withUnsafeBytes { bytes in
                    try writer.add("w", bytes) { count, body in (0..<count).forEach(body) }
                }
            }
            Thread.sleep(forTimeInterval: 0.02)
        }
    }

    @Test func listsPrunesAndClears() throws {
        #expect(try run().output == "0.0 MB of 20.0 GB in \(folder.path)/packed\n")
        try fill(["models/a", "models/b", "models/c"])
        let list = try run("list", limit: "5M").output.split(separator: "\n")
        #expect(list.count == 4 && list[0].contains("1.0 MB  used today") && list[0].hasSuffix("avx2        models/a"))
        #expect(list[3] == "3.0 MB of 5.0 MB in \(folder.path)/packed")
        let pruned = try run("prune", "--limit", "1.5M").output
        #expect(pruned.contains("models/a\n") && pruned.contains("models/b\n") && !pruned.contains("models/c"))
        #expect(try run("list").output.contains("models/c"))
        #expect(try run("clear").output.hasSuffix("1.0 MB removed from \(folder.path)/packed\n"))
        #expect(try folder.contents == ["packed"])
    }

    @Test func theLimitOfTheEnvironmentIsPrunesDefault() throws {
        try fill(["a", "b"])
        #expect(try run("prune", limit: "1500K").output.split(separator: "\n").count == 2)
        #expect(try run("prune", limit: "0").output.contains("b\n"))
        let wrong = try run("prune", limit: "much")
        #expect(wrong.status == 2 && wrong.errorLines.count == 1 && wrong.errors.contains("LVO_CACHE_LIMIT"))
    }

    /// Beside LVO_CACHE the standard variable counts, if it holds an absolute path.
    @Test func theStandardCacheFolderIsTaken() throws {
        let result = try Program.bash(
            "unset LVO_CACHE; XDG_CACHE_HOME=/x/y \"$lvo\" cache; XDG_CACHE_HOME=y HOME=/h \"$lvo\" cache")
        let lines = result.output.split(separator: "\n")
        #expect(lines.first?.hasSuffix("in /x/y/lvo/packed") == true, "\(result.output)")
        #expect(lines.last?.hasSuffix("/.cache/lvo/packed") == true && lines.last?.contains("in y") == false)
    }
}
