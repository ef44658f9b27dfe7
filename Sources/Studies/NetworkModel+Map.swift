import Experiments
import StableDiffusion
import Tensors
import Visualization

extension NetworkModel {
    public func maps(
        of latents: Tensor, _ subject: Subject, texts: [TextSource], timestep: Int, draws: Int
    ) throws -> Tensor {
        let contexts = try texts.map { try session.text($0).context }
        let map = try hook(subject.site.layer).map(height: latents.shape[2], width: latents.shape[3])
        // Texts of different lengths do not share a batch.
        let batches = Set(contexts.map(\.shape)).count == 1 ? [texts.indices] : texts.indices.map { $0..<$0 + 1 }
        let values = try batches.flatMap { batch in
            let context = Tensor([batch.count] + contexts[batch.lowerBound].shape[1...], contexts[batch].flatMap(\.array))
            return try maps(of: latents.slice(batch), subject, context: context, timestep: timestep, draws: draws)
        }
        return Tensor([latents.shape[0], map.height, map.width], values)
    }

    /// At all positions of all samples, which have their own contexts `[B, T, C]`.
    private func maps(
        of latents: Tensor, _ subject: Subject, context: Tensor, timestep: Int, draws: Int
    ) throws -> [Float] {
        let (hook, readout) = (try hook(subject.site.layer), try objective(subject).terms[0].readout)
        let size = LatentSize(batch: latents.shape[0], height: latents.shape[2], width: latents.shape[3])
        let plain = try session.dreamer(hook, size: size)
        let dreamer = Dreamer(
            unet: plain.unet, hook: hook, text: plain.unet.prepare(context: context), schedule: plain.schedule)
        var sums = [Double](repeating: 0, count: hook.shape(batch: size.batch, height: size.height, width: size.width)
            .dropLast().reduce(1, *))
        try dreamer.observe(latents, timestep: timestep, noiseDraws: draws) { activation in
            for (place, value) in readout.activations(activation, engine: session.engine).enumerated() {
                sums[place] += Double(value)
            }
        }
        return sums.map { Float($0 / Double(draws)) }
    }
}
