import Checkpoints
import Experiments
import Files
import Foundation

/// Where lvo keeps what it can make again: `LVO_CACHE`, else `lvo` in `XDG_CACHE_HOME`, else `~/.cache/lvo`.
enum CacheFolder {
    static var path: String {
        let environment = RuntimeOptions.environment
        // By that standard a relative path counts as none.
        let caches = environment["XDG_CACHE_HOME"].flatMap { $0.hasPrefix("/") ? $0 : nil }
        return environment["LVO_CACHE"] ?? (caches ?? NSHomeDirectory() + "/.cache") + "/lvo"
    }

    /// Checksums of the models that commands have read.
    static var checksums: ChecksumCache { ChecksumCache(path: path + "/checksums.json") }

    /// Pictures that models have drawn by themselves.
    static var pools: PoolStore { PoolStore(folder: path + "/pools") }

    /// Weights of large models as layers read them; none with a limit of 0.
    ///
    /// - Throws: `SimpleFailure(.usage)` if LVO_CACHE_LIMIT is no size.
    static func packs() throws -> PackedStore? {
        let limit = try packLimit()
        return limit > 0 ? PackedStore(folder: packFolder, limit: limit) { note("warning: \($0)") } : nil
    }

    static var packFolder: String { path + "/packed" }

    /// Bytes that packed weights may take: `LVO_CACHE_LIMIT`, else 20 GB.
    static func packLimit() throws -> Int {
        guard let text = RuntimeOptions.environment["LVO_CACHE_LIMIT"] else { return 20_000_000_000 }
        if text == "0" { return 0 }
        guard let size = MemorySize(argument: text) else {
            throw SimpleFailure(.usage, "LVO_CACHE_LIMIT is '\(text)': expected a size, as 20G, or 0 to keep no packed weights")
        }
        return size.bytes
    }
}
