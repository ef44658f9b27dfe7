import ArgumentParser
import Ops

@main
struct Lvo: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lvo",
        abstract: "Look inside a diffusion model on plain CPU servers.",
        version: "0.1.0",
        subcommands: [
            Synthesize.self,
        ])
}
