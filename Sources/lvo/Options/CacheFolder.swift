import Files
import Experiments
import Foundation

/// Where lvo keeps what it can make again: `LVO_CACHE`, else `~/.cache/lvo`.
enum CacheFolder {
    static var path: String { RuntimeOptions.environment["LVO_CACHE"] ?? NSHomeDirectory() + "/.cache/lvo" }

    /// Checksums of the models that commands have read.
    static var checksums: ChecksumCache { ChecksumCache(path: path + "/checksums.json") }

    /// Pictures that models have drawn by themselves.
    static var pools: PoolStore { PoolStore(folder: path + "/pools") }
}
