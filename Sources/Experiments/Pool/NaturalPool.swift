import Checkpoints
import Files
import StableDiffusion
import Tensors
import Visualization

/// Latents of pictures that the model draws by itself, without a prompt and without guidance. Dreams may start from those
/// that excite what is sought a little: what is climbed from a natural picture stays one for a while.
///
/// Latent i is a function of the model, the size and i alone: a larger pool begins with the smaller one, and any process may
/// draw any part of it. Latents are rounded to half precision, in which pools are kept.
public struct NaturalPool: Sendable {
    /// U-Net calls of a picture.
    public static let steps = 30
    /// Pictures unless another number is asked for. On the embedded model 1,024 take half a minute of two cores.
    public static let defaultCount = 1024

    /// `[N, C, h, w]`
    public let latents: Tensor

    /// How many pictures.
    public var count: Int { latents.shape[0] }

    /// - Parameter latents: `[N, C, h, w]`.
    public init(latents: Tensor) { self.latents = latents }

    /// The first pictures of a pool.
    func prefix(_ count: Int) -> NaturalPool { NaturalPool(latents: latents.slice(0..<count).copy()) }

    /// Latents that are computed at once: as many as fill a latent of Stable Diffusion 1.5's size four times.
    static func batch(_ size: (height: Int, width: Int)) -> Int { max(1, 16384 / (size.height * size.width)) }

    /// Consecutive parts of at most a batch.
    static func parts(_ range: Range<Int>, batch: Int) -> [Range<Int>] {
        stride(from: range.lowerBound, to: range.upperBound, by: batch).map { $0..<min($0 + batch, range.upperBound) }
    }
}

extension ModelSession {
    /// What a pool's latents depend on beside their number.
    ///
    /// - Throws: as `identity`.
    public func poolKey(_ size: (height: Int, width: Int)) throws -> JSON {
        // The decoder comes after the latent.
        let parts = try (identity().json.object ?? JSONObject()).filter { $0.key != ModelComponent.vae.rawValue }
        return [
            "version": 1, "model": JSON(parts.map { ($0.key, $0.value) }), "steps": .integer(NaturalPool.steps),
            "size": [.integer(size.height), .integer(size.width)],
        ]
    }

    /// Draws the latents `range` of a pool, `[n, C, h, w]`.
    ///
    /// - Parameter check: called after every U-Net call; may throw to stop.
    /// - Throws: a `Failure` for a part of the model that cannot be loaded; what `check` throws.
    public func drawPool(
        _ range: Range<Int>, size: (height: Int, width: Int), check: () throws -> Void = {}
    ) throws -> Tensor {
        let drawing = try drawing()
        let last = drawing.schedule.trainTimesteps - 1
        let shape = [folder.unetConfig.inChannels, size.height, size.width]
        let result = Tensor([range.count] + shape)
        let count = shape.reduce(1, *)
        for part in NaturalPool.parts(range, batch: NaturalPool.batch(size)) {
            let noise = Tensor([part.count] + shape)
            for index in part {
                CounterRandom(seed: 0, purpose: .pool, unit: UInt64(index))
                    .fillNormal(noise.pointer + (index - part.lowerBound) * count, count: count)
            }
            let drawn = try drawing.draw(noise, from: last, steps: NaturalPool.steps, check: check)
            let target = result.pointer + (part.lowerBound - range.lowerBound) * count
            for i in 0..<drawn.count { target[i] = Float(Float16(drawn.pointer[i])) }
        }
        return result
    }
}
