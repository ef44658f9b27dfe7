import ArgumentParser
import Foundation
import Ops
import Studies
import WorkUnits

struct Demo: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Study a layer of the embedded model, in about two minutes on two cores.",
        discussion: """
            Draws pictures from prompts, finds when the layer's features are active, looks for what they seek and what \
            they cause, measures it, and shows everything in a gallery, whose path is the last line of output. Run again, \
            it continues where it was; --set counts when the folder is new. The folder is a study like any other: change \
            its study.yaml and use lvo study.
            """)

    @Option(help: ArgumentHelp("Folder to write to; made if it is missing.", valueName: "dir"))
    var output = "lvo-demo"

    @Option(name: .customLong("set"), help: ArgumentHelp("Overrides a setting of the study.", valueName: "key=value"))
    var overrides: [String] = []

    @OptionGroup var runtime: RuntimeOptions
    @OptionGroup var stages: StageOptions
    @OptionGroup var preview: PreviewOptions

    /// A short study that shows a little of everything: features that go with a word of the prompts, so they are recorded
    /// under these, and the most active channels beside them.
    private static let settings = [
        "prompt_limit=144", "capture.images_per_prompt=1", "capture.steps=20", "capture.sampler=ddim",
        "capture.guidance_scale=4", "capture.half=conditional", "analysis.peaks=1",
        "choose.features=" + words.map { "word:\($0):1" }.joined(separator: ","),
        "choose.channels=most-active:4", "prior.steps=20", "prior.sampler=ddim", "prior.seeds=[1024,1111,4359,3248]",
        "prior.strength_features=10", "prior.strength_channels=5", "dream.preset=clear", "dream.timesteps=[301,peaks]",
        "dream.seeds=[1024,1111,4359]",
        "report.title=What a layer of a small model looks for",
    ]

    private static let words = [
        "red", "blue", "green", "white", "diagonal", "vertical", "horizontal", "dots", "checkerboard", "waves", "circle",
    ]

    func run() throws { try hearingSignals(run) }

    private func run(_ stop: StopFlag) throws {
        if !FileManager.default.fileExists(atPath: output + "/study.yaml") {
            _ = try StudyFolder.begin(output, overrides: Self.settings + overrides, overwrite: false)
        }
        let study = try StudyFolder.open(output, engine: runtime.engine())
        try StageJob(study: study, options: stages, stop: stop).run()
        guard try stages.isWhole else { return }
        let page = try Report.write(study)
        try preview.show(gallery: page)
        print(page)
    }
}
