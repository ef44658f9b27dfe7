import ArgumentParser
import Studies

/// A command that runs one stage of a study.
protocol StageCommand: ParsableCommand {
    static var stage: StageName { get }
    var study: StudyOptions { get }
    var stages: StageOptions { get }
}

extension StageCommand {
    func run() throws {
        try hearingSignals { try StageJob(study: study.open(), options: stages, stop: $0).run([Self.stage]) }
    }
}

struct StudyCapture: StageCommand {
    static let configuration = CommandConfiguration(
        commandName: stage.command, abstract: "Draw the prompts' pictures and record what the layers do.")
    static let stage = StageName.capture
    @OptionGroup var study: StudyOptions
    @OptionGroup var stages: StageOptions
}

struct StudyAnalyze: StageCommand {
    static let configuration = CommandConfiguration(
        commandName: stage.command, abstract: "Find when each channel and feature is active.")
    static let stage = StageName.analysis
    @OptionGroup var study: StudyOptions
    @OptionGroup var stages: StageOptions
}

struct StudyPrior: StageCommand {
    static let configuration = CommandConfiguration(
        commandName: stage.command, abstract: "Draw from the empty prompt with each chosen feature added.")
    static let stage = StageName.prior
    @OptionGroup var study: StudyOptions
    @OptionGroup var stages: StageOptions
}

struct StudyPool: StageCommand {
    static let configuration = CommandConfiguration(
        commandName: stage.command, abstract: "Draw pictures without a prompt, from which dreams may start.")
    static let stage = StageName.pool
    @OptionGroup var study: StudyOptions
    @OptionGroup var stages: StageOptions
}

struct StudySearch: StageCommand {
    static let configuration = CommandConfiguration(
        commandName: stage.command, abstract: "Find the pictures of the pool that excite each chosen feature most.")
    static let stage = StageName.search
    @OptionGroup var study: StudyOptions
    @OptionGroup var stages: StageOptions
}

struct StudyDream: StageCommand {
    static let configuration = CommandConfiguration(
        commandName: stage.command, abstract: "Optimize latents for each chosen feature and time step.")
    static let stage = StageName.dream
    @OptionGroup var study: StudyOptions
    @OptionGroup var stages: StageOptions
}

struct StudyReference: StageCommand {
    static let configuration = CommandConfiguration(
        commandName: stage.command, abstract: "See what the whole network makes of the dataset's pictures.")
    static let stage = StageName.reference
    @OptionGroup var study: StudyOptions
    @OptionGroup var stages: StageOptions
}

struct StudySteer: StageCommand {
    static let configuration = CommandConfiguration(
        commandName: stage.command, abstract: "Draw the prompts' pictures again with each chosen feature added.")
    static let stage = StageName.steer
    @OptionGroup var study: StudyOptions
    @OptionGroup var stages: StageOptions
}

struct StudyMap: StageCommand {
    static let configuration = CommandConfiguration(
        commandName: stage.command, abstract: "Find where in examples and results each chosen feature is active.")
    static let stage = StageName.map
    @OptionGroup var study: StudyOptions
    @OptionGroup var stages: StageOptions
}

struct StudyMeasure: StageCommand {
    static let configuration = CommandConfiguration(commandName: stage.command, abstract: "Measure the dreams' results.")
    static let stage = StageName.measure
    @OptionGroup var study: StudyOptions
    @OptionGroup var stages: StageOptions
}
