import Tensors

/// Whether latents that are optimized together influence each other.
public enum Coupling: String, Sendable, CaseIterable {
    /// The paper's: the loss has the batch's mean activation (each latent's gradient carries 1/B); the
    /// spectral filter and the penalties take their statistics over the whole batch; one augmentation serves
    /// all.
    case coupled
    /// Sum over the batch, statistics and augmentation per latent: each result is what it would be alone.
    case independent

    /// The parts of a batch of latents that are treated as one: the whole batch, or single latents. They
    /// share storage.
    func groups(_ latents: Tensor) -> [Tensor] {
        self == .coupled ? [latents] : (0..<latents.shape[0]).map { latents.slice($0..<$0 + 1) }
    }

    /// The group that latent `index` belongs to.
    func group(of index: Int) -> Int { self == .coupled ? 0 : index }

    /// Applies a shape-keeping function to each group and puts the results together.
    func map(_ latents: Tensor, _ transform: (_ group: Int, _ part: Tensor) -> Tensor) -> Tensor {
        let results = groups(latents).enumerated().map { transform($0.offset, $0.element) }
        if results.count == 1 { return results[0] }
        let joined = Tensor(latents.shape)
        var next = joined.pointer
        for result in results {
            next.update(from: result.pointer, count: result.count)
            next += result.count
        }
        return joined
    }
}
