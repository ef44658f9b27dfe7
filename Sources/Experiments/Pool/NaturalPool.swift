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
    public static let steps = 50
    /// Standard deviation of what each of a latent's channels is shifted by before it is drawn. The last time step still
    /// shows a trace of the picture, above all its mean colour (Lin et al. 2023, Common diffusion noise schedules and sample
    /// steps are flawed), so that what begins at plain noise is hardly ever white, black or of a full colour. Without the
    /// shift and the fresh noise 41 % of the embedded model's pictures had a ground that its judge could name none of, and
    /// 29 % such a pattern; with both 23 % and 14 %; of the dataset's 16 % and 7 % (docs/sweep.md).
    static let channelShift: Float = 0.1
    /// Grows when a pool's pictures become others.
    public static let version = 2
    /// Pictures unless another number is asked for: 1,024 of the embedded model's 16 × 16 latents, 64 of 64 × 64, which
    /// take 64 · 50 U-Net calls, once for all dreams of a model.
    public static func defaultCount(_ size: (height: Int, width: Int)) -> Int {
        min(1024, max(16, (1 << 18) / max(1, size.height * size.width)))
    }

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
            "version": .integer(NaturalPool.version), "model": JSON(parts.map { ($0.key, $0.value) }),
            "steps": .integer(NaturalPool.steps),
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
            let start = noise(part, shape, step: 0)
            for (row, index) in part.enumerated() {
                let shifts = CounterRandom(seed: 0, purpose: .pool, unit: UInt64(index), step: .max)
                for channel in 0..<shape[0] {
                    let shift = NaturalPool.channelShift * shifts.normal(channel)
                    let map = start.pointer + (row * shape[0] + channel) * shape[1] * shape[2]
                    for i in 0..<shape[1] * shape[2] { map[i] += shift }
                }
            }
            let drawn = try drawing.draw(
                start, from: last, steps: NaturalPool.steps, noise: { self.noise(part, shape, step: UInt64($0) + 1) },
                check: check)
            let target = result.pointer + (part.lowerBound - range.lowerBound) * count
            for i in 0..<drawn.count { target[i] = Float(Float16(drawn.pointer[i])) }
        }
        return result
    }

    /// A picture's noise is a function of its number and the step.
    private func noise(_ part: Range<Int>, _ shape: [Int], step: UInt64) -> Tensor {
        let noise = Tensor([part.count] + shape)
        let count = shape.reduce(1, *)
        for (row, index) in part.enumerated() {
            CounterRandom(seed: 0, purpose: .pool, unit: UInt64(index), step: step)
                .fillNormal(noise.pointer + row * count, count: count)
        }
        return noise
    }
}
