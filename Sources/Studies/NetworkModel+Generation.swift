import Experiments
import Files
import Pictures
import StableDiffusion
import Tensors
import Visualization

extension NetworkModel {
    public func capture(
        prompt: String, seed: Int, settings: DrawSettings, sites: [Site], places: [Space: Where], halves: String,
        check: () throws -> Void
    ) throws -> CapturedPicture {
        let wanted: [GuidanceHalf] =
            halves == "both" ? [.unconditional, .conditional] : [GuidanceHalf(rawValue: halves) ?? .conditional]
        guard settings.guidanceScale > 1 || wanted == [.conditional] else {
            throw SimpleFailure(
                .usage, "capture.half: \(halves): without guidance (capture.guidance_scale ≤ 1) there is only conditional")
        }
        let recorders = try sites.map { site in
            try wanted.map { try recorder(site, places[site.space], settings, half: $0) }
        }
        let latent = try generator().latent(
            parameters(prompt, seed: seed, settings), hooks: recorders.joined().map(\.hook)) { _, _ in try check() }
        var timesteps: [Int] = []
        var activations: [Site: [[Float]]] = [:]
        for (site, recorders) in zip(sites, recorders) {
            let ordered = recorders.map(Self.ascending)
            timesteps = ordered[0].timesteps
            activations[site] = ordered.map(\.activations)
        }
        return CapturedPicture(picture: try picture(latent), timesteps: timesteps, activations: activations)
    }

    public func steered(
        _ subject: Subject, prompt: String, seed: Int, strength: SteeringStrength, settings: DrawSettings,
        check: () throws -> Void
    ) throws -> (latent: Tensor, picture: Bitmap) {
        let hook = try hook(subject.site.layer)
        let steering: GenerationHook
        switch subject.site.space {
        case .channels: steering = .adding(channel: subject.index, at: hook, strength: strength.at)
        case .features:
            let autoencoder = try encoder(subject.site.layer).autoencoder
            let direction = autoencoder.decoderWeight.slice(subject.index..<subject.index + 1).array
            steering = .adding(direction, at: hook, strength: strength.at)
        }
        let latent = try generator().latent(parameters(prompt, seed: seed, settings), hooks: [steering]) { _, _ in
            try check()
        }
        return (latent, try picture(latent))
    }

    private func recorder(
        _ site: Site, _ place: Where?, _ settings: DrawSettings, half: GuidanceHalf
    ) throws -> ActivationRecorder {
        let size = try latentSize(settings)
        let pooling = try pooling(site.layer, place, height: size.height, width: size.width)
        if pooling == .mean { return try Recording(layer: site.layer, space: site.space).recorder(session, half: half) }
        let features = site.space == .features ? try encoder(site.layer) : nil
        // Reduced in the transform: maps of all features would not fit into memory.
        func reduced(_ map: Tensor) -> Tensor {
            let values = pooling.reduce(features?.preActivations(map) ?? map)
            return Tensor([1, values.count], values.map { Float($0) })
        }
        return ActivationRecorder(at: try hook(site.layer), form: .maps, half: half, transform: reduced)
    }

    /// How a kind of site is reduced over a layer's positions, for latents of a size.
    func pooling(_ layer: String, _ place: Where?, height: Int, width: Int) throws -> Pooling {
        try (place ?? .mean).pooling(of: hook(layer), latents: (height, width), in: session.reference)
    }

    func picture(_ latent: Tensor) throws -> Bitmap { Bitmap.pictures(try decoder().decode(latent))[0] }

    private func parameters(_ prompt: String, seed: Int, _ settings: DrawSettings) throws -> GenerationParameters {
        var parameters = GenerationParameters()
        parameters.prompt = prompt
        parameters.negativePrompt = settings.negativePrompt
        parameters.emphasis = settings.emphasis
        parameters.steps = settings.steps
        parameters.guidanceScale = Float(settings.guidanceScale)
        parameters.sampler = settings.sampler.flatMap(SamplerName.init(rawValue:))
        parameters.seed = UInt64(seed)
        (parameters.width, parameters.height) = (settings.width, settings.height)
        return parameters
    }

    /// A recorder's time steps, whole and ascending, and `[T, D]` in that order. Samplers with fractional time steps are
    /// recorded at the nearest whole ones.
    private static func ascending(_ recorder: ActivationRecorder) -> (timesteps: [Int], activations: [Float]) {
        let order = recorder.timesteps.sorted()
        return (order.map { Int($0.rounded()) }, order.flatMap { recorder.activations[$0]?.array ?? [] })
    }
}
