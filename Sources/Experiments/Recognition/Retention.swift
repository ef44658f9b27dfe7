import Ops
import Pictures
import StableDiffusion
import Tensors
import Visualization

extension DreamExperiment {
    /// The share of each result's activation that is left in its picture (docs/measures.md): a(z′)/a(z), z′ the latent that
    /// the VAE's encoder gives of z's picture, of eight bits a channel. Nil where nothing was active.
    ///
    /// - Parameter items: the batch that `outcome` is of.
    /// - Throws: a `Failure` for a part of the model that cannot be loaded.
    public func retention(_ outcome: DreamOutcome, _ items: [DreamItem]) throws -> [Double?] {
        let (decoder, encoder) = (try session.decoder(), try session.pictureEncoder())
        let (latents, batch) = (outcome.latents, items.count)
        let redrawn = try (0..<batch).flatMap { index -> [Float] in
            let picture = Bitmap.pictures(decoder.decode(latents.slice(index..<index + 1)))[0]
            return try encoder.encode(picture.tensor()).latent().array
        }
        let latentSize = LatentSize(batch: batch, height: size.height, width: size.width)
        let left = try session.dreamer(hook, text: request.text, size: latentSize).measure(
            Tensor(latents.shape, redrawn), objectives: items.map(objective), timestep: items[0].timestep)
        return zip(left, outcome.records).map { $1.finalActivation > 0 ? $0 / $1.finalActivation : nil }
    }
}
