import Checkpoints
import Experiments
import Files
import Ops
import StableDiffusion

/// Opens studies, and begins new ones.
public enum StudyFolder {
    /// The study of a file or of the folder that holds `study.yaml`. Results go beside the file. Paths in it are relative
    /// to it; `embedded` stands for the model that comes with the program, its autoencoder and its prompts.
    ///
    /// - Parameters:
    ///   - overrides: texts `key=value` that win over the file.
    ///   - memoryBudget: bytes the process may use.
    ///   - packs: where the weights of large models are kept packed.
    /// - Throws: a `Failure`.
    public static func open(
        _ path: String, overrides: [String] = [], engine: Engine, memoryBudget: Int? = nil, packs: PackedStore? = nil
    ) throws -> Study {
        let yaml = FileSystem.isFolder(path) ? path + "/study.yaml" : path
        let values = try SettingsFile.read(yaml, overrides: overrides)
        let folder = FileSystem.parent(yaml)
        let settings = StudySettings(values)
        let session = try ModelSession(
            settings.reference(in: folder), engine: engine.computing(in: settings.precision), memoryBudget: memoryBudget,
            checksums: ChecksumCache(path: folder + "/.checksums.json"), packs: packs)
        try check(settings, session)
        try checkLoRAs(settings, session)
        let model = NetworkModel(session, judge: settings.judge, secondAutoencoders: settings.secondAutoencoders)
        if !settings.autoencoders.isEmpty { for layer in settings.layers { _ = try model.secondAutoencoder(layer) } }
        let file = try resolved(settings.prompts, in: folder, embedded: EmbeddedModel.prompts)
        let prompts = Prompt.evenly(try Prompt.read(file), limit: settings.promptLimit)
        return try Study(
            folder: folder, settings: settings, prompts: prompts, model: model)
    }

    /// What can be known before the first of many units fails for it: memory for the dreams, their time steps, and
    /// where in the map they look.
    private static func check(_ settings: StudySettings, _ session: ModelSession) throws {
        for case .at(let timestep) in settings.dreamTimesteps { try session.check(timestep: Double(timestep)) }
        for place in settings.places.values where place != .mean {
            let size = try session.folder.latentSize(
                pixelWidth: settings.capture.width, pixelHeight: settings.capture.height)
            for layer in settings.layers {
                _ = try place.pooling(of: session.hook(layer), latents: size, in: session.reference)
            }
        }
        if session.memoryBudget != nil { _ = try memory(settings, session) }
    }

    /// Bytes that a process takes for a study's dreams; nil if its model does not tell.
    ///
    /// - Throws: `MemoryShortage` if there is no room for one.
    public static func memory(_ study: Study) throws -> Int? {
        try (study.model as? NetworkModel).flatMap { try memory(study.settings, $0.session) }
    }

    private static func memory(_ settings: StudySettings, _ session: ModelSession) throws -> Int? {
        let (height, width) = try session.folder.latentSize(
            pixelWidth: settings.capture.width, pixelHeight: settings.capture.height)
        return try settings.layers.map { layer in
            try session.memoryPlan(
                to: session.hook(layer),
                LatentSize(batch: max(1, settings.dreamSeeds.count), height: height, width: width)
            ).totalBytes
        }.max()
    }

    /// Parts of a LoRA that fit nothing are left out, so that pictures would not be what was trained.
    private static func checkLoRAs(_ settings: StudySettings, _ session: ModelSession) throws {
        let unused = session.folder.source.unusedLoRAKeys
        guard !unused.isEmpty, !settings.values.flag("allow_unused") else { return }
        throw SimpleFailure(
            .badData,
            "\(unused.count) tensors of the LoRA files would not be merged (\(unused[0])); allow_unused: true goes on without")
    }

    /// Writes a commented `study.yaml` into a folder, which is made if it is missing.
    ///
    /// - Parameter overrides: texts `key=value` in place of the defaults.
    /// - Throws: `Failure`, also if there is a file and `overwrite` is false.
    public static func begin(_ folder: String, overrides: [String], overwrite: Bool) throws -> String {
        let values = try SettingsFile.parse("", name: "study.yaml", overrides: overrides)
        try OutputFile.makeFolder(folder)
        let path = folder + "/study.yaml"
        try OutputFile.write(SettingsFile.commented(values).utf8, to: path, overwrite: overwrite)
        return path
    }

    private static func resolved(_ path: String, in folder: String, embedded: () throws -> String) throws -> String {
        path == EmbeddedModel.name ? try embedded() : absolute(path, in: folder)
    }

    /// A path of the file as commands take it: `embedded` stays what it is.
    static func absolute(_ path: String, in folder: String) -> String {
        let isOwn = path.isEmpty || path.hasPrefix("/") || path == EmbeddedModel.name
        return isOwn ? path : "\(folder)/\(path)"
    }
}
