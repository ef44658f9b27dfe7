import Checkpoints
import Files
import Foundation
import Ops
import Pictures
import StableDiffusion
import Tensors
import Visualization

/// The pictures of one `generate` command, with the model loaded once.
struct GenerationJob {
    private let command: Generate
    private let folder: ModelFolder
    private let engine: Engine
    private let generator: Generator
    private let decoder: VAEDecoder
    private let encoder: VAEEncoder?
    private let start: Bitmap?
    private let requests: HookOptions.Requests
    private let steering: [GenerationHook]

    /// - Parameter start: the picture of image to image.
    init(_ command: Generate, start: Bitmap?) throws {
        self.command = command
        self.start = start
        requests = try command.hooks.requests()
        folder = try command.model.folder()
        engine = try command.runtime.engine()
        steering = try requests.steering.map { [engine, folder] in
            try $0.hook(folder.unetConfig, engine: engine, autoencoder: command.hooks.autoencoder)
        }
        generator = try Generator(folder, prediction: command.sampling.prediction, engine: engine)
        decoder = try folder.loadVAEDecoder(engine: engine)
        encoder = try start.map { [engine, folder] _ in try folder.loadVAEEncoder(engine: engine) }
    }

    func run(_ pictures: [GenerationParameters]) throws {
        let sized = pictures.map(sized)
        let stems = pictures.enumerated().map { index, picture in
            let number = String(index)
            let padding = String(repeating: "0", count: max(0, 5 - number.count))
            return "\(command.output)/\(padding)\(number)-\(picture.seed)"
        }
        try checkFree(stems)
        for picture in sized { _ = try generator.size(picture) }
        let calls = try sized.map { try generator.calls($0, fromPicture: start != nil) }
        try OutputFile.makeFolder(command.output)
        let progress = Progress(total: calls.reduce(0, +))
        for (picture, stem) in zip(sized, stems) {
            warnAboutDropped([picture.prompt, picture.negativePrompt].map(dropped(of:)))
            try make(picture, stem: stem, progress)
        }
    }

    private func dropped(of prompt: String) -> String? { generator.prompts.tokenizer?.encode(prompt).dropped }

    /// Before hours of work rather than after them.
    private func checkFree(_ stems: [String]) throws {
        guard !command.overwrite else { return }
        let endings = [".png"] + (command.saveLatent ? [".safetensors"] : [])
            + (command.hooks.capture.isEmpty ? [] : [".activations.safetensors"])
        for file in stems.flatMap({ stem in endings.map { stem + $0 } })
        where FileManager.default.fileExists(atPath: file) {
            throw FileFailure.exists(file: file)
        }
    }

    /// Image to image keeps the picture's size, cut to what the VAE can halve, unless another is asked for.
    private func sized(_ parameters: GenerationParameters) -> GenerationParameters {
        guard let start else { return parameters }
        var sized = parameters
        let factor = generator.pixelFactor
        sized.width = parameters.width ?? max(factor, start.width / factor * factor)
        sized.height = parameters.height ?? max(factor, start.height / factor * factor)
        return sized
    }

    private func make(_ parameters: GenerationParameters, stem: String, _ progress: Progress) throws {
        let clock = ContinuousClock()
        let begin = clock.now
        let (width, height) = try generator.size(parameters)
        var from = Generator.Start.noise
        if let start, let encoder {
            from = .picture(try encoder.encode(start.resized(width: width, height: height).tensor()))
        }
        let recorders = try requests.recording.map {
            try $0.recorder(folder.unetConfig, engine: engine, autoencoder: command.hooks.autoencoder)
        }
        let latent = try generator.latent(parameters, from: from, hooks: recorders.map(\.hook) + steering) { _, _ in
            progress.advance("seed \(parameters.seed)")
        }
        let bitmap = Bitmap.pictures(decoder.decode(latent))[0]
        try PNG.write(bitmap, text: [text(parameters, width, height)], to: stem + ".png", overwrite: command.overwrite)
        if command.saveLatent {
            try SafetensorsWriter.write(
                [("latent", latent)], to: stem + ".safetensors", overwrite: command.overwrite)
        }
        try write(recorders, stem: stem)
        progress.result(stem + ".png")
        try command.preview.show([bitmap])
        let tenths = (begin.duration(to: clock.now) / .milliseconds(100)).rounded()
        note("\(width)×\(height), \(parameters.steps) steps: \(tenths / 10) s")
    }

    private func text(_ parameters: GenerationParameters, _ width: Int, _ height: Int) -> PNGText {
        var extra = [("Model", URL(fileURLWithPath: folder.path).lastPathComponent)]
        let lora = command.model.lora.map { "\(URL(fileURLWithPath: $0.path).lastPathComponent):\($0.scale)" }
        if !lora.isEmpty { extra.append(("LoRA", lora.joined(separator: " "))) }
        if let vae = command.model.vae { extra.append(("VAE", URL(fileURLWithPath: vae).lastPathComponent)) }
        if !command.hooks.steer.isEmpty { extra.append(("Steering", command.hooks.steer.joined(separator: " "))) }
        extra.append(("Version", "lvo \(Lvo.version)"))
        let text = ParametersText.text(
            parameters, sampler: generator.scheduler.samplerName ?? .pndm, width: width, height: height,
            usesPicture: start != nil, extra: extra)
        return PNGText(ParametersText.keyword, text)
    }

    private func write(_ recorders: [ActivationRecorder], stem: String) throws {
        var tensors: [(name: String, tensor: Tensor)] = []
        for (request, recorder) in zip(requests.recording, recorders) {
            guard let stacked = recorder.stacked() else {
                note("warning: \(request.layer): no time step of this sampler is in the recorded range")
                continue
            }
            tensors.append((request.name, stacked))
            tensors.append((request.name + "/timesteps", Tensor([recorder.timesteps.count], recorder.timesteps)))
        }
        guard !tensors.isEmpty else { return }
        try SafetensorsWriter.write(tensors, to: stem + ".activations.safetensors", overwrite: command.overwrite)
    }
}
