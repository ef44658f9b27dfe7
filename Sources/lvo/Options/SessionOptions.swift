import Experiments
import Ops

extension ModelOptions {
    /// Opens the model; says on standard error which keys of LoRA files fit nothing.
    func session(engine: Engine, memory: MemorySize? = nil, autoencoders: String? = nil) throws -> ModelSession {
        let loras = lora.map { ModelReference.LoRA(path: $0.path, scale: $0.scale) }
        let reference = ModelReference(model, vae: vae, loras: loras, autoencoders: autoencoders)
        return try Self.session(reference, engine: engine, memory: memory)
    }

    static func session(_ reference: ModelReference, engine: Engine, memory: MemorySize? = nil) throws -> ModelSession {
        let session = try ModelSession(reference, engine: engine, memoryBudget: memory?.bytes)
        for key in session.folder.source.unusedLoRAKeys { note("unused: \(key)") }
        return session
    }
}

extension PromptOptions {
    var source: TextSource { TextSource(prompt: prompt ?? "", clipSkip: clipSkip, contextFile: context) }
}
