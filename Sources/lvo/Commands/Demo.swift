import ArgumentParser
import Foundation
import Ops
import Studies

struct Demo: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Study a layer of the embedded model, in about two minutes on two cores.",
        discussion: """
            Draws pictures from prompts, finds when the layer's features are active, looks for what they seek and what \
            they cause, measures it, and shows everything in a gallery, whose path is the last line of output. Run again, \
            it continues where it was; --set counts when the folder is new. The folder is a study like any other: change its study.yaml and use lvo study.
            """)

    @Option(help: ArgumentHelp("Folder to write to; made if it is missing.", valueName: "dir"))
    var output = "lvo-demo"

    @Option(name: .customLong("set"), help: ArgumentHelp("Overrides a setting of the study.", valueName: "key=value"))
    var overrides: [String] = []

    @OptionGroup var runtime: RuntimeOptions
    @OptionGroup var stages: StageOptions
    @OptionGroup var preview: PreviewOptions

    /// A study that shows what there is to see and is soon over: features with clear meanings, and the most active
    /// channels beside them.
    private static let settings = [
        "prompt_limit=144", "capture.images_per_prompt=1", "capture.steps=20", "capture.sampler=ddim",
        "capture.guidance_scale=4", "analysis.peaks=1",
        "choose.features=718,731,742,439,word:red:2,word:diagonal:1,word:vertical:1,word:dots:1,word:blue:1",
        "choose.channels=most-active:4", "prior.steps=20", "prior.sampler=ddim", "prior.seeds=[1024,1111,4359,3248]",
        "prior.strength_features=50", "prior.strength_channels=5", "dream.preset=tuned", "dream.timesteps=[301,peaks]",
        "dream.seeds=[1024,1111,4359,3248]", "dream_features.steps=200", "dream_channels.steps=200",
        "report.title=What a layer of a small model looks for",
    ]

    func run() throws {
        if !FileManager.default.fileExists(atPath: output + "/study.yaml") {
            _ = try StudyFolder.begin(output, overrides: Self.settings + overrides, overwrite: false)
        }
        let study = try StudyFolder.open(output, engine: runtime.engine())
        try StageJob(study: study, options: stages).run(study.stages.map(\.name))
        let page = try Report.write(study)
        try preview.show(gallery: page)
        print(page)
    }
}
