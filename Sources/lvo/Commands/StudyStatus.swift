import ArgumentParser
import Files
import Foundation
import Studies

struct StudyStatusCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Show the stages: units done, failed, left, and the time they will take.")

    @OptionGroup var study: StudyOptions

    @Flag(help: "As JSON.")
    var json = false

    func run() throws {
        let status = try StudyStatus(try study.open())
        if json {
            print(status.json.serialized())
            return
        }
        print(Self.row("stage", "units", "done", "failed", "left", "running", "ETA"))
        for stage in status.stages {
            if let reason = stage.waitsFor {
                print("\(Text.left(stage.stage, 10))waits: \(reason)")
                continue
            }
            let numbers = [stage.units, stage.done, stage.failed, stage.left, stage.running].map(String.init)
            print(Self.row(stage.stage, numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], Self.eta(stage)))
        }
    }

    private static func eta(_ stage: StudyStatus.StageStatus) -> String {
        if stage.left == 0 { return "" }
        return stage.secondsLeft.map(ProgressLine.time) ?? "?"
    }

    private static func row(_ name: String, _ cells: String...) -> String {
        Text.left(name, 10) + cells.map { Text.right($0, 9) }.joined()
    }
}

struct StudySlurm: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "slurm", abstract: "Write a commented sbatch file and a script that submits the stages in order.")

    @Argument(help: ArgumentHelp("Folder of the study.", valueName: "dir"))
    var folder: String

    @OptionGroup var slurm: SlurmOptions

    func run() throws {
        guard FileManager.default.fileExists(atPath: folder + "/study.yaml") else {
            throw SimpleFailure(.missingInput, "\(folder)/study.yaml: not there; lvo study init writes one")
        }
        let study = URL(fileURLWithPath: folder).standardizedFileURL.path
        let script = try SlurmScript(study: study, tasks: slurm.tasks, resources: slurm.resources)
        try slurm.write([("study.sbatch", script.batch), ("submit.sh", script.submit)], into: study)
    }
}
