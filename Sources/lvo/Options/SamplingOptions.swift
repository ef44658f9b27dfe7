import ArgumentParser
import Files
import Pictures
import StableDiffusion

extension SamplerName: ExpressibleByArgument {}
extension PredictionType: ExpressibleByArgument {}

/// Sampling of a picture. Options that are not given come from `--params-from`, else from the library's
/// defaults.
struct SamplingOptions: ParsableArguments {
    @Option(help: "What the picture should not show; guidance moves away from it.")
    var negativePrompt: String?

    @Option(parsing: .unconditional, help: "Sampling steps. Default: \(GenerationParameters().steps).")
    var steps: Int?

    @Option(
        parsing: .unconditional,
        help: "Guidance scale; 1 and below: none. Default: \(GenerationParameters().guidanceScale).")
    var cfgScale: Float?

    @Option(help: "Sampler. Default: the model's own.")
    var sampler: SamplerName?

    @Option(
        parsing: .unconditional,
        help: "Seed of the first picture; the next ones count up; -1 draws one. Default: \(GenerationParameters().seed).")
    var seed: SeedArgument?

    @Option(help: "Layers of the text encoder left out at its end, as diffusers counts. Default: 0.")
    var clipSkip: Int?

    @OptionGroup var syntax: EmphasisOption

    @Option(help: "What the U-Net predicts. Default: what the model says.")
    var prediction: PredictionType?

    @Option(
        help: ArgumentHelp(
            "PNG whose 'parameters' text gives prompt, seed and the rest; other options override it.",
            discussion: "Web interfaces draw noise on GPUs, which is not repeated here; --emphasis weighs words as they do.",
            valueName: "png"))
    var paramsFrom: String?

    func validate() throws {
        if let cfgScale, !cfgScale.isFinite { throw ValidationError("--cfg-scale \(cfgScale): expected a number") }
        try ClipSkip.check(clipSkip)
    }

    /// - Parameter fromPicture: whether there is a picture to start from.
    func parameters(fromPicture: Bool) throws -> GenerationParameters {
        var parameters = try paramsFrom.map { try read($0, fromPicture: fromPicture) } ?? GenerationParameters()
        parameters.negativePrompt = negativePrompt ?? parameters.negativePrompt
        parameters.steps = steps ?? parameters.steps
        parameters.guidanceScale = cfgScale ?? parameters.guidanceScale
        parameters.sampler = sampler ?? parameters.sampler
        parameters.seed = seed?.value() ?? parameters.seed
        parameters.emphasis = syntax.emphasis || parameters.emphasis
        parameters.clipSkip = clipSkip ?? parameters.clipSkip
        return parameters
    }

    private func read(_ path: String, fromPicture: Bool) throws -> GenerationParameters {
        guard let text = try PNG.text(path).first(where: { $0.keyword == ParametersText.keyword })?.text else {
            throw SimpleFailure(.badData, "\(path): has no '\(ParametersText.keyword)' text; give the prompt instead")
        }
        let parameters = try ParametersText.parse(text, name: path, sampler: sampler)
        let values = ParametersText.values(of: text)
        if values["Denoising strength"] != nil, !fromPicture {
            note("warning: \(path) was made from another picture; give that with --init-image to repeat it")
        }
        for (key, option) in [("Steering", "--steer"), ("LoRA", "--lora"), ("VAE", "--vae"), ("Embeddings", "--embedding")] {
            if let value = values[key] { note("\(path) was made with \(option) \(value); to repeat it, give that too") }
        }
        return parameters
    }
}

