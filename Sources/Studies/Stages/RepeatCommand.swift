import Foundation

/// The command line that makes a dream of a study again.
enum RepeatCommand {
    static func text(_ study: Study, _ subject: Subject, timestep: Int) -> String {
        let settings = study.settings
        let parameters = settings.dream(subject.site.space)
        let isFeature = subject.site.space == .features
        var words = ["lvo", "dream", "--model", settings.model, "--layer", subject.site.layer]
        words += [isFeature ? "--feature" : "--channel", "\(subject.index)"]
        if isFeature { words += ["--sae", settings.autoencoders] }
        words += ["--timestep", "\(timestep)", "--preset", isFeature ? "sae" : "raw"]
        words += settings.dreamSeeds.flatMap { ["--seed", "\($0)"] }
        if !parameters.prompt.isEmpty { words += ["--prompt", parameters.prompt] }
        if parameters.startsFromPrior { words += ["--init", "\(study.folder)/prior/\(subject.path)/latents.safetensors"] }
        return words.map(quoted).joined(separator: " ")
    }

    /// As a POSIX shell reads it back.
    private static func quoted(_ word: String) -> String {
        let plain = word.unicodeScalars.allSatisfy {
            CharacterSet.alphanumerics.contains($0) || "-_./=:,+@%".unicodeScalars.contains($0)
        }
        return plain && !word.isEmpty ? word : "'" + word.replacing("'", with: "'\\''") + "'"
    }
}
