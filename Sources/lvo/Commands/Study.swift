import ArgumentParser
import Experiments
import Files
import Foundation
import Ops
import Studies
import WorkUnits

struct StudyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "study",
        abstract: "From prompts to a gallery of features, step by step, on one machine or many.",
        discussion: """
            A study is a folder with a file study.yaml. `lvo study init DIR` writes a commented one, `lvo study run DIR` \
            does what is missing of all stages and ends with the gallery's path. The same command run again continues; \
            any number of processes may work on one folder.
            """,
        subcommands: [
            StudyInit.self, StudyRun.self, StudyCapture.self, StudyAnalyze.self, StudyPrior.self, StudyPool.self,
            StudySearch.self, StudyDream.self, StudyReference.self, StudySteer.self, StudyMeasure.self, StudyMap.self,
            StudyReport.self, StudyStatusCommand.self, StudySlurm.self,
        ])
}

/// The study and its settings.
struct StudyOptions: ParsableArguments {
    @Argument(help: ArgumentHelp("Folder of the study, or its study.yaml.", valueName: "study"))
    var path: String

    @Option(name: .customLong("set"), help: ArgumentHelp("Overrides a setting.", valueName: "key=value"))
    var overrides: [String] = []

    @OptionGroup var runtime: RuntimeOptions
    @OptionGroup var memory: MemoryOptions

    /// Writes nothing.
    func open() throws -> Study {
        try StudyFolder.open(
            path, overrides: overrides, engine: runtime.engine(), memoryBudget: memory.memory?.bytes,
            packs: CacheFolder.packs())
    }
}

/// Options for running stages and reporting on them.
struct StageOptions: ParsableArguments {
    @OptionGroup var shard: ShardOption
    @OptionGroup var workers: WorkersOption

    @Flag(help: "Tell what happens as lines of JSON on standard output.")
    var json = false

    func part() throws -> Shard { try shard.part() }

    /// Whether the gallery is this process's to write: it needs everything, so parts and workers leave it.
    var isWhole: Bool {
        get throws { try !workers.worker && part() == .whole }
    }
}

struct StudyRun: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Do what is missing of all stages, then write the gallery.")

    @OptionGroup var study: StudyOptions
    @OptionGroup var stages: StageOptions
    @OptionGroup var preview: PreviewOptions

    func run() throws { try hearingSignals(run) }

    private func run(_ stop: StopFlag) throws {
        let study = try study.open()
        try StageJob(study: study, options: stages, stop: stop).run()
        guard try stages.isWhole else { return }
        let page = try Report.write(study)
        try preview.show(gallery: page)
        print(page)
    }
}

struct StudyReport: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "report", abstract: "Write the gallery from what there is, and print its path.")

    @OptionGroup var study: StudyOptions
    @OptionGroup var preview: PreviewOptions

    func run() throws {
        let page = try Report.write(try study.open())
        try preview.show(gallery: page)
        print(page)
    }
}

struct StudyInit: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "init", abstract: "Write a commented study.yaml.")

    @Argument(help: ArgumentHelp("Folder of the new study; made if it is missing.", valueName: "dir"))
    var folder: String

    @Option(name: .customLong("set"), help: ArgumentHelp("A value in place of a default.", valueName: "key=value"))
    var overrides: [String] = []

    @Flag(help: "Replace a file that exists.")
    var overwrite = false

    func run() throws { print(try StudyFolder.begin(folder, overrides: overrides, overwrite: overwrite)) }
}
