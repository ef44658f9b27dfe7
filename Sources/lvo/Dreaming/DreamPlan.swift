import Experiments
import Files
import Foundation
import StableDiffusion
import Tensors
import Visualization

/// One result to be made.
struct DreamItem {
    let objective: Int
    let timestep: Int
    let seed: Int
}

/// What a `lvo dream` command comes to: checked, but nothing loaded yet.
struct DreamPlan {
    let command: Dream
    let folder: ModelFolder
    let hook: HookPoint
    let settings: DreamSettings
    let objectives: [Objective]
    /// The file's latents, one for all seeds or one each; nil for noise.
    let given: Tensor?
    let size: (height: Int, width: Int)
    let memory: MemoryPlan

    var seeds: [UInt64] { command.seed }
    var channels: Int { folder.unetConfig.layout.inChannels }

    init(_ command: Dream) throws {
        self.command = command
        folder = try command.model.folder()
        hook = try folder.unetConfig.hookPoint(command.layer)
        settings = try command.options.settings(for: command.objective.target)
        objectives = try command.objective.objectives(hook)
        if command.start == "noise" {
            given = nil
            size = try command.size.latentSize(folder)
        } else {
            let channels = folder.unetConfig.layout.inChannels
            let latents = try TensorFile.latent(command.start, channels: channels)
            guard [1, command.seed.count].contains(latents.shape[0]) else {
                throw SimpleFailure(
                    .usage,
                    "\(command.start): \(latents.shape[0]) latents for \(command.seed.count) seeds;"
                        + " expected 1 or as many")
            }
            guard latents.array.allSatisfy(\.isFinite) else {
                throw SimpleFailure(.badData, "\(command.start): latent holds numbers that are not finite")
            }
            given = latents
            size = (latents.shape[2], latents.shape[3])
        }
        if command.batch != nil, settings.coupling == .coupled {
            throw SimpleFailure(.usage, "--batch needs --coupling independent; coupled seeds are one batch")
        }
        let batch = settings.coupling == .coupled ? command.seed.count : command.batch ?? command.seed.count
        let latentSize = LatentSize(batch: batch, height: size.height, width: size.width)
        memory = try Self.memoryPlan(folder, hook, latentSize, budget: command.memory.memory?.bytes)
    }

    /// What is given as `--memory`, else what is free, decides which layers keep activations.
    private static func memoryPlan(
        _ folder: ModelFolder, _ hook: HookPoint, _ size: LatentSize, budget: Int?
    ) throws -> MemoryPlan {
        let plan = try folder.memoryPlan(to: hook, size, budget: budget)
        guard budget == nil, let free = SystemMemory.available, plan.totalBytes > free else { return plan }
        do {
            return try folder.memoryPlan(to: hook, size, budget: free)
        } catch var shortage as MemoryShortage {
            shortage.isWhatIsFree = true
            throw shortage
        }
    }

    /// The results in batches: all seeds of one objective at one time step; independent ones in any company.
    var batches: [[DreamItem]] {
        command.timestep.flatMap { timestep in
            let items = objectives.indices.flatMap { objective in
                seeds.indices.map { DreamItem(objective: objective, timestep: timestep, seed: $0) }
            }
            let length = settings.coupling == .coupled ? seeds.count : command.batch ?? seeds.count
            return stride(from: 0, to: items.count, by: length).map {
                Array(items[$0..<min($0 + length, items.count)])
            }
        }
    }

    func start(_ item: DreamItem) -> Tensor {
        if let given { return given.slice(given.shape[0] == 1 ? 0..<1 : item.seed..<item.seed + 1) }
        return Dreamer.noise(seed: seeds[item.seed], channels: channels, height: size.height, width: size.width)
    }

    /// Path of a result's files without their endings.
    func stem(_ item: DreamItem) -> String {
        let name = objectives[item.objective].name.replacing(" ", with: "-")
        let safe = String(name.map { $0.isLetter || $0.isNumber || "-+._".contains($0) ? $0 : "_" })
        return "\(command.output.output)/\(hook.name)_\(safe)_t\(item.timestep)_seed\(seeds[item.seed])"
    }

    /// Makes the folder, and refuses before hours of work what could not be written after them.
    func prepareOutput() throws {
        try OutputFile.makeFolder(command.output.output)
        let stems = batches.joined().map(stem)
        if Set(stems).count != stems.count {
            throw SimpleFailure(.usage, "the same channel, feature or direction name is given twice")
        }
        guard FileManager.default.isWritableFile(atPath: command.output.output) else {
            throw SimpleFailure(.cannotWrite, "\(command.output.output): no permission to write there")
        }
        if command.output.overwrite { return }
        let files =
            stems.flatMap { stem in endings.map { stem + $0 } }
            + (command.output.sheet.map { [$0] } ?? [])
        if let file = files.first(where: FileManager.default.fileExists(atPath:)) {
            throw FileFailure.exists(file: file)
        }
    }

    static let animationEnding = "_course.png"

    /// Of a result's files.
    private var endings: [String] {
        [".png", ".safetensors", ".json"] + (command.output.animation ? [Self.animationEnding] : [])
    }

    /// The command that makes this result again. Coupled results need their company.
    func repeating(_ item: DreamItem) -> String {
        var arguments = ["lvo", "dream", "--model", command.model.model, "--layer", hook.name]
        arguments += command.objective.arguments(item.objective)
        let needsAll = settings.coupling == .coupled || (given?.shape[0] ?? 1) > 1
        arguments += ["--timestep", "\(item.timestep)", "--seed"]
        arguments += needsAll ? seeds.map { "\($0)" } : ["\(seeds[item.seed])"]
        if let prompt = command.prompt.prompt { arguments += ["--prompt", prompt] }
        if let context = command.prompt.context { arguments += ["--context", context] }
        if command.prompt.clipSkip != 0 { arguments += ["--clip-skip", "\(command.prompt.clipSkip)"] }
        if given == nil {
            let factor = (try? folder.pixelFactor()) ?? 8
            arguments += ["-W", "\(size.width * factor)", "-H", "\(size.height * factor)"]
        } else {
            arguments += ["--init", command.start]
        }
        arguments += settings.arguments + ["--display", command.output.display.rawValue, "--output", "DIR"]
        return arguments.map(Self.quoted).joined(separator: " ")
    }

    /// As a shell reads it back.
    private static func quoted(_ argument: String) -> String {
        let isPlain = !argument.isEmpty && argument.allSatisfy { character in
            character.isASCII && (character.isLetter || character.isNumber || "-_./=,+:".contains(character))
        }
        return isPlain ? argument : "'" + argument.replacing("'", with: "'\\''") + "'"
    }
}
