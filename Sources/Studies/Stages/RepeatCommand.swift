import Files
import Foundation

/// The command line that makes a dream of a study again.
enum RepeatCommand {
    static func text(_ study: Study, _ subject: Subject, timestep: Int) -> String {
        let settings = study.settings
        let parameters = settings.dream(subject.site.space)
        let isFeature = subject.site.space == .features
        var words = [
            "lvo", "dream", "--model", StudyFolder.absolute(settings.model, in: study.folder), "--layer",
            subject.site.layer,
        ]
        words += [isFeature ? "--feature" : "--channel", "\(subject.index)"]
        if isFeature { words += ["--sae", StudyFolder.absolute(settings.autoencoders, in: study.folder)] }
        words += ["--timestep", "\(timestep)", "--seed"] + settings.dreamSeeds.map { "\($0)" }
        if !parameters.prompt.isEmpty { words += ["--prompt", parameters.prompt] }
        if parameters.startsFromPrior {
            words += ["--init", "\(study.folder)/prior/\(subject.path)/latents.safetensors"]
        } else {
            if let width = settings.capture.width { words += ["-W", "\(width)"] }
            if let height = settings.capture.height { words += ["-H", "\(height)"] }
        }
        for (name, value) in parameters.parameters.object ?? JSONObject() where name != "start" {
            let option = name.replacing("_", with: "-")
            if let flag = value.bool {
                words.append(flag ? "--\(option)" : "--no-\(option)")
            } else {
                words += ["--\(option)", value.string ?? value.serialized()]
            }
        }
        words += ["--output", "DIR"]
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
