import Files
import Visualization

/// The command line that repeats dreams.
struct DreamCommand {
    let experiment: DreamExperiment

    /// Coupled results depend on the whole batch; so do latents of a file that seeds take in turn.
    func text(_ items: [DreamItem]) -> String {
        let (request, reference) = (experiment.request, experiment.session.reference)
        var words = ["lvo", "dream", "--model", reference.model]
        if let vae = reference.vae { words += ["--vae", vae] }
        for lora in reference.loras { words += ["--lora", "\(lora.path):\(lora.scale)"] }
        for word in reference.embeddings { words += ["--embedding", word.path + (word.token.map { ":" + $0 } ?? "")] }
        if let precision = experiment.session.engine.precision.recorded { words += ["--precision", precision] }
        words += ["--layer", experiment.hook.name]
        words += objective(request.objectives[items[0].objective])
        words += ["--timestep", "\(items[0].timestep)", "--seed"] + seeds(items).map { "\($0)" }
        words += text(request.text) + start
        words += DreamParameters.all.flatMap { $0.arguments(request.settings) }
        return Shell.line(words + ["--display", request.display.rawValue, "--output", "DIR"])
    }

    private func seeds(_ items: [DreamItem]) -> [UInt64] {
        let request = experiment.request
        var needsAll = request.settings.coupling == .coupled
        switch request.start {
        case .noise: break
        case .latents(let latents, _): needsAll = needsAll || latents.shape[0] > 1
        case .pool: needsAll = true
        }
        return needsAll ? request.seeds : items.map { request.seeds[$0.seed] }
    }

    private func text(_ text: TextSource) -> [String] {
        var words: [String] = []
        if let file = text.contextFile {
            words += ["--context", file]
        } else if !text.prompt.isEmpty {
            words += ["--prompt", text.prompt]
        }
        if text.emphasis { words.append("--emphasis") }
        return words + (text.clipSkip == 0 ? [] : ["--clip-skip", "\(text.clipSkip)"])
    }

    private var start: [String] {
        let start = experiment.request.start
        if case .latents = start { return ["--init", start.name] }
        let (factor, size) = (experiment.pixelFactor, experiment.size)
        var words: [String] = []
        if case .pool = start { words = ["--init", start.name] }
        return words + ["-W", "\(size.width * factor)", "-H", "\(size.height * factor)"]
    }

    /// The options that give one objective: its channels, its features, its directions, in this order.
    private func objective(_ objective: Objective) -> [String] {
        var (channels, features, directions): ([String], [String], [String]) = ([], [], [])
        for term in objective.terms {
            switch term.readout {
            case .channel(let channel): channels.append("\(channel)")
            case .feature(let feature, _): features.append("\(feature)")
            case .direction(_, let name, let file): directions.append(file ?? name)
            }
        }
        var words: [String] = []
        for (option, values) in [("--channel", channels), ("--feature", features), ("--direction", directions)]
        where !values.isEmpty { words += [option] + values }
        let root = experiment.request.autoencoders ?? experiment.session.reference.autoencoders
        if !features.isEmpty, let root { words += ["--sae", root] }
        let weights = objective.terms.map(\.weight)
        if weights == [1] { return words }
        if weights == [-1] { return words + ["--minimize"] }
        return words + ["--weights=" + weights.map { "\($0)" }.joined(separator: ",")]
    }
}
