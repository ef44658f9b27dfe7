import Checkpoints
import Files

extension TrainingRun {
    /// What the tokens of the run in `folder` come from; nil if it has no checkpoint yet.
    ///
    /// - Throws: `FileFailure` if the checkpoint cannot be read.
    package static func recordedOrigin(in folder: String) throws -> JSON? {
        let path = checkpointPath(folder)
        guard FileSystem.isFile(path) else { return nil }
        let state = try SafetensorsFile(path: path).metadata["state"].flatMap { try? JSON.parse($0) }
        return state?["settings"]?["activations"]
    }
}
