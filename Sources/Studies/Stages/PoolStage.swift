import Checkpoints
import Experiments
import Files
import Tensors
import WorkUnits

/// Pictures that the model draws by itself, without a prompt: where dreams may start. Drawn once and shared by all layers,
/// features and workers. One unit per 64 pictures, with `latents.safetensors` (`latent [64, 4, h, w]`, half precision).
struct PoolStage: WorkStage {
    let study: Study
    let name = StageName.pool.rawValue

    private static let unitSize = 64

    func units() throws -> [WorkUnit<Range<Int>>] {
        let (common, count) = (try commonKey(), try count())
        return stride(from: 0, to: count, by: Self.unitSize).map { first in
            let range = first..<min(first + Self.unitSize, count)
            return WorkUnit(
                id: Text.digits(first, 6),
                key: ["common": common, "first": .integer(first), "count": .integer(range.count)], payload: range)
        }
    }

    private func count() throws -> Int { try study.settings.poolCount ?? study.model.poolCount(study.settings.capture) }

    private func commonKey() throws -> JSON {
        [
            "version": .integer(NaturalPool.version), "model": try study.model.identity(), "steps": .integer(NaturalPool.steps),
            "size": study.sizeKey,
        ]
    }

    /// What the whole pool depends on.
    func key() throws -> JSON { [try commonKey(), .integer(try count())] }

    func compute(_ unit: WorkUnit<Range<Int>>, into folder: String, partial: PartialUnit) throws {
        let latents = try study.model.pool(unit.payload, size: study.settings.capture, check: partial.check)
        try SafetensorsWriter.write([("latent", latents)], to: folder + "/latents.safetensors", dtype: .f16)
    }

    /// The pool, read from its units.
    ///
    /// - Throws: `SimpleFailure(.missingInput)` while a part is missing.
    func pool() throws -> NaturalPool {
        let parts = try units().map {
            try TensorFile.read(study.folder(of: $0, in: .pool) + "/latents.safetensors", name: "latent")
        }
        return NaturalPool(latents: Tensor([try count()] + parts[0].shape.dropFirst(), parts.flatMap(\.array)))
    }
}
