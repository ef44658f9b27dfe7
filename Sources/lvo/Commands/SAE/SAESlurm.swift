import ArgumentParser
import Experiments
import Files
import Foundation
import WorkUnits

struct SAESlurm: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "slurm",
        abstract: "Write sbatch files for an array that captures and a training that follows, and what submits them.",
        usage: "lvo sae slurm <dir> [<options>] -- capture <its options> -- sae train <its options>",
        discussion: """
            The commands stand behind the options, each after a --, as they would be given to lvo by hand in the present \
            folder, but without --shard, which SLURM announces, and without --follow and the capture's store, which the \
            training gets.
            """)

    @Argument(help: ArgumentHelp("Folder for the files; made if missing.", valueName: "dir"))
    var folder: String

    @OptionGroup var slurm: SlurmOptions

    @Argument(parsing: .postTerminator, help: ArgumentHelp("Both commands.", visibility: .hidden))
    var commands: [String] = []

    func run() throws {
        let (capture, train) = try checkedCommands()
        let folder = URL(fileURLWithPath: folder).standardizedFileURL.path
        let script = try AutoencoderScript(
            folder: folder, working: FileManager.default.currentDirectoryPath, tasks: slurm.tasks,
            resources: slurm.resources, capture: capture, train: train)
        try OutputFile.makeFolder(folder)
        try slurm.write(
            [("capture.sbatch", script.capture), ("train.sbatch", script.train), ("submit.sh", script.submit)],
            into: folder)
    }

    /// The commands' words, read once as the program will read them.
    ///
    /// - Throws: what is wrong in them, now and not in the queue.
    private func checkedCommands() throws -> (capture: [String], train: [String]) {
        let parts = commands.split(separator: "--").map(Array.init)
        guard parts.count == 2, parts[0].first == "capture", parts[1].starts(with: ["sae", "train"]) else {
            throw ValidationError("expected two commands after the options: -- capture … -- sae train …")
        }
        let capture = try Capture.parse(Array(parts[0].dropFirst()))
        if capture.shard.shard != nil { throw ValidationError("capture --shard: each task of the array is a shard") }
        let words = parts[1] + ["--activations", capture.store, "--follow"]
        let train = try SAETrain.parse(Array(words.dropFirst(2)))
        if capture.seed.isDrawn || train.training.seed.isDrawn {
            throw ValidationError("--seed -1: every task and every start would draw another one")
        }
        return (parts[0], words)
    }
}
