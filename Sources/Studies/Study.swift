import Experiments
import Files
import Foundation
import Visualization
import WorkUnits

/// A study: a folder with `study.yaml`, a model, prompts, and what the stages have made so far.
public final class Study {
    public let folder: String
    public let settings: StudySettings
    public let prompts: [Prompt]
    public let model: any StudyModel
    /// Layers as channels, and as features where there is an autoencoder.
    public let sites: [Site]
    private var analyses: [Site: SiteAnalysis] = [:]

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

    /// The stages in their order.
    public var stages: [any StudyStage] {
        var stages: [any StudyStage] = [CaptureStage(study: self), AnalyzeStage(study: self)]
        if settings.makesPriors { stages.append(PriorStage(study: self)) }
        return stages + [DreamStage(study: self), MeasureStage(study: self)]
    }

    /// The results of the time-step analysis of a site.
    ///
    /// - Throws: `SimpleFailure(.stoppedEarly)` if it has not been made or is out of date.
    public func analysis(_ site: Site) throws -> SiteAnalysis {
        if let known = analyses[site] { return known }
        let stage = AnalyzeStage(study: self)
        guard let unit = try stage.units().first(where: { $0.id == site.path }),
            UnitStore(study: folder, stage: stage.name).state(of: unit) == .done
        else {
            throw SimpleFailure(.stoppedEarly, "\(folder): \(site.path) is not analysed yet; run lvo study analyze")
        }
        let analysis = try SiteAnalysis(folder: "\(folder)/\(stage.name)/\(site.path)")
        analyses[site] = analysis
        return analysis
    }

    /// The chosen channels or features of all sites.
    public func subjects() throws -> [Subject] {
        try sites.flatMap { site in
            let choice = try FeatureChoice(settings.choice(site.space))
            return try choice.select(from: analysis(site), words: ExampleWords(self, site)).map {
                Subject(site: site, index: $0)
            }
        }
    }

    /// Settings with every default filled in, kept beside the results.
    public func writeSettings() throws {
        try OutputFile.makeFolder(folder)
        let file = try OutputFile(path: folder + "/settings.yaml", overwrite: true)
        try file.write(Array(SettingsFile.commented(settings.values).utf8))
        try file.commit()
    }

    /// How many generations there are: pictures, times recorded halves of guidance.
    public var halvesPerPicture: Int { settings.halves == "both" ? 2 : 1 }

    /// Which picture a generation's number means. Numbers run over prompts, then pictures, then halves.
    public func picture(of generation: Int) -> (prompt: Prompt, image: Int, half: Int) {
        let perPrompt = settings.imagesPerPrompt * halvesPerPicture
        let rest = generation % perPrompt
        return (prompts[generation / perPrompt], rest / halvesPerPicture, rest % halvesPerPicture)
    }
}
