import Checkpoints
import Files
import StableDiffusion
import Tensors

/// Pools kept in a folder, a file per model and size: drawn once, then only read, and drawn on when more pictures are asked
/// for. Only a cache: where it cannot be written, pools last as long as the process.
public struct PoolStore: Sendable {
    /// The folder; nil keeps nothing.
    public let folder: String?

    /// - Parameter folder: made when a pool is first kept; nil keeps nothing.
    public init(folder: String?) { self.folder = folder }

    private static let tensor = "latent"

    /// - Throws: a `Failure` for a part of the model that cannot be loaded; what `progress` throws.
    func pool(
        _ count: Int, size: (height: Int, width: Int), session: ModelSession,
        progress: (_ done: Int, _ of: Int) throws -> Void
    ) throws -> NaturalPool {
        let key = Fingerprint.of(try session.poolKey(size))
        let shape = [session.folder.unetConfig.inChannels, size.height, size.width]
        var latents = known(key, shape)
        while latents.shape[0] < count {
            let done = latents.shape[0]
            try progress(done, count)
            let next = done..<min(count, done + NaturalPool.batch(size))
            let drawn = try session.drawPool(next, size: size) { try progress(done, count) }
            latents = Tensor([next.upperBound] + shape, latents.array + drawn.array)
            keep(latents, key)
        }
        return NaturalPool(latents: latents).prefix(count)
    }

    /// What there is without drawing.
    func kept(_ size: (height: Int, width: Int), session: ModelSession) throws -> NaturalPool {
        let shape = [session.folder.unetConfig.inChannels, size.height, size.width]
        return NaturalPool(latents: known(Fingerprint.of(try session.poolKey(size)), shape))
    }

    /// What comes with the program or was drawn before; no pictures if there is nothing, or what there is is damaged.
    private func known(_ key: String, _ shape: [Int]) -> Tensor {
        let files = [try? EmbeddedModel.pool(), path(key)]
        let pools = files.compactMap { $0.flatMap { Self.read($0, key: key, shape: shape) } }
        return pools.max { $0.shape[0] < $1.shape[0] } ?? Tensor([0] + shape)
    }

    private static func read(_ path: String, key: String, shape: [Int]) -> Tensor? {
        guard FileSystem.isFile(path), let file = try? SafetensorsFile(path: path), file.metadata["key"] == key,
            let weight = try? file.weight(tensor), weight.shape.count == 4, Array(weight.shape.dropFirst()) == shape
        else { return nil }
        let latents = Tensor(weight.shape, weight.floats())
        return latents.array.allSatisfy(\.isFinite) ? latents : nil
    }

    private func path(_ key: String) -> String? { folder.map { "\($0)/\(key).safetensors" } }

    private func keep(_ latents: Tensor, _ key: String) {
        guard let folder, let path = path(key) else { return }
        try? OutputFile.makeFolder(folder)
        try? Self.write(latents, key: key, to: path)
    }

    static func write(_ latents: Tensor, key: String, to path: String) throws {
        try SafetensorsWriter.write(
            [(tensor, latents)], metadata: ["key": key], to: path, overwrite: true, dtype: .f16)
    }
}

extension ModelSession {
    /// The latents `range` of the pool, `[n, C, h, w]`: as kept, else drawn.
    ///
    /// - Parameter check: called after every U-Net call; may throw to stop.
    /// - Throws: a `Failure` for a part of the model that cannot be loaded; what `check` throws.
    public func poolPart(
        _ range: Range<Int>, size: (height: Int, width: Int), check: () throws -> Void
    ) throws -> Tensor {
        let key = [size.height, size.width]
        let kept = try pools[key] ?? poolStore.kept(size, session: self)
        pools[key] = kept
        if range.upperBound <= kept.count { return kept.latents.slice(range).copy() }
        return try drawPool(range, size: size, check: check)
    }

    /// The first `count` pictures of the model's pool at a latent size.
    ///
    /// - Parameter progress: called while pictures are drawn, with how many there are and how many there will be; may throw
    ///   to stop. What was drawn is kept.
    /// - Throws: `SimpleFailure(.usage)` unless there is at least one; a `Failure` for a part of the model that cannot be
    ///   loaded; what `progress` throws.
    public func pool(
        _ count: Int, size: (height: Int, width: Int), progress: (_ done: Int, _ of: Int) throws -> Void = { _, _ in }
    ) throws -> NaturalPool {
        guard count >= 1 else { throw SimpleFailure(.usage, "a pool of \(count) pictures: expected at least 1") }
        let key = [size.height, size.width]
        if let known = pools[key], known.count >= count { return known.prefix(count) }
        let pool = try poolStore.pool(count, size: size, session: self, progress: progress)
        pools[key] = pool
        return pool
    }
}
