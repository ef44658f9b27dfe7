import ArgumentParser

struct SAE: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sae", abstract: "Sparse autoencoders: train, evaluate, convert.",
        subcommands: [SAETrain.self, SAESlurm.self, SAEEval.self, SAEConvert.self])
}
