import Experiments
import Files
import Foundation
import Visualization

/// A study: a folder with `study.yaml`, a model, prompts, and what the stages have made so far.
public final class Study {
    public let folder: String
    public let settings: StudySettings
    public let prompts: [Prompt]
    public let model: any StudyModel
    /// Layers as channels, and as features where there is an autoencoder.
    public let sites: [Site]
    /// What `analysis` has read.
    var analyses: [Site: SiteAnalysis] = [:]
    /// What `reference` has read.
    var knownReference: DatasetReference?

    /// - Throws: `SimpleFailure(.usage)` if no layer is named.
    public init(folder: String, settings: StudySettings, prompts: [Prompt], model: any StudyModel) throws {
        guard !settings.layers.isEmpty else {
            throw SimpleFailure(.usage, "\(folder)/study.yaml: layers: name at least one; lvo layers lists them")
        }
        self.folder = folder
        self.settings = settings
        self.prompts = prompts
        self.model = model
        let spaces: [Space] = settings.autoencoders.isEmpty ? [.channels] : [.features, .channels]
        sites = settings.layers.flatMap { layer in spaces.map { Site(layer: layer, space: $0) } }
        for site in sites { _ = try model.width(of: site) }
    }

    /// What to compare activations in: features if the layer has an autoencoder, else channels.
    public func comparisonSite(_ layer: String) -> Site {
        Site(layer: layer, space: settings.autoencoders.isEmpty ? .channels : .features)
    }

    /// What results depend on in a rule: its text, and the contents of a mask.
    ///
    /// - Throws: `FileFailure.cannotRead` without the mask.
    func identity(of place: Where) throws -> JSON {
        guard case .mask(let file) = place else { return .string(place.text) }
        return [.string(place.text), .string(try Fingerprint.of(file: StudyFolder.absolute(file, in: folder)))]
    }

    /// Keeps the settings with every default filled in beside the results, for people.
    public func writeSettings() throws {
        try OutputFile.makeFolder(folder)
        try OutputFile.write(
            SettingsFile.commented(settings.values).utf8, to: folder + "/settings.yaml", overwrite: true)
    }

    /// Recorded halves of guidance: generations per picture.
    public var halvesPerPicture: Int { settings.halves == "both" ? 2 : 1 }

    /// Generations of one prompt.
    var generationsPerPrompt: Int { settings.imagesPerPrompt * halvesPerPicture }

    /// All generations: pictures, times recorded halves of guidance.
    var generations: Int { prompts.count * generationsPerPrompt }

    /// Which picture a generation's number means. Numbers run over prompts, then pictures, then halves.
    public func picture(of generation: Int) -> (prompt: Prompt, image: Int, half: Int) {
        let rest = generation % generationsPerPrompt
        return (prompts[generation / generationsPerPrompt], rest / halvesPerPicture, rest % halvesPerPicture)
    }
}
