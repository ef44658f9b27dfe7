import Checkpoints
import Foundation
import Ops
import Tensors

/// Opens studies, and begins new ones.
public enum StudyFolder {
    /// The study of a file or of the folder that holds `study.yaml`. Results go beside the file. Paths in it are relative
    /// to it; `embedded` stands for the model that comes with the program, its autoencoder and its prompts.
    ///
    /// - Parameters:
    ///   - overrides: texts `key=value` that win over the file.
    ///   - memoryBudget: bytes the process may use.
    /// - Throws: a `Failure`.
    public static func open(
        _ path: String, overrides: [String] = [], engine: Engine, memoryBudget: Int? = nil
    ) throws -> Study {
        let file = isFolder(path) ? path + "/study.yaml" : path
        let values = try SettingsFile.read(file, overrides: overrides)
        let parent = (file as NSString).deletingLastPathComponent
        let folder = parent.isEmpty ? "." : parent
        let settings = StudySettings(values.replacing([
            "model": try resolved(values.text("model"), in: folder, embedded: EmbeddedModel.model),
            "sae": try resolved(values.text("sae"), in: folder, embedded: EmbeddedModel.autoencoders),
            "prompts": try resolved(values.text("prompts"), in: folder, embedded: EmbeddedModel.prompts),
        ]))
        let model = try NetworkModel(
            path: settings.model, autoencoders: settings.autoencoders, engine: engine, memoryBudget: memoryBudget,
            cache: folder + "/.checksums.json")
        let study = try Study(folder: folder, settings: settings, prompts: Prompt.read(settings.prompts), model: model)
        try study.writeSettings()
        return study
    }

    /// Writes a commented `study.yaml` into a folder, which is made if it is missing.
    ///
    /// - Parameter overrides: texts `key=value` in place of the defaults.
    /// - Throws: `Failure`, also if there is a file and `overwrite` is false.
    public static func begin(_ folder: String, overrides: [String], overwrite: Bool) throws -> String {
        let values = try SettingsFile.parse("", name: "study.yaml", overrides: overrides)
        try Folders.make(folder)
        let path = folder + "/study.yaml"
        let file = try OutputFile(path: path, overwrite: overwrite)
        try file.write(Array(SettingsFile.commented(values).utf8))
        try file.commit()
        return path
    }

    private static func isFolder(_ path: String) -> Bool {
        var isFolder: ObjCBool = false
        return FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) && isFolder.boolValue
    }

    private static func resolved(_ path: String, in folder: String, embedded: () throws -> String) throws -> String {
        if path == EmbeddedModel.name { return try embedded() }
        return path.isEmpty || path.hasPrefix("/") ? path : "\(folder)/\(path)"
    }
}
