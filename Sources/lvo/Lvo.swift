import ArgumentParser
import Experiments
import Ops
import Parallel
import Tensors

@main
struct Lvo: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lvo",
        abstract: "Look inside a diffusion model on plain CPU servers.",
        discussion: "`lvo --version -v` tells which kernels and how many threads this machine gets, and why.",
        version: Release.version,
        subcommands: [
            Dream.self,
            Demo.self,
            Generate.self,
            Layers.self,
            Probe.self,
            Embed.self,
            Encode.self,
            Decode.self,
            Tokenize.self,
            StudyCommand.self,
            Inspect.self,
            Convert.self,
            Synthesize.self,
            Capture.self,
            SAE.self,
            Bench.self,
            Cache.self,
            Doctor.self,
        ])

    /// ArgumentParser's own `main`, but with this program's exit codes and one line for an error.
    static func main() {
        Output.open()
        OutOfMemory.listen()
        do {
            try run(Array(CommandLine.arguments.dropFirst()))
            try Output.check()
        } catch {
            exit(reporting: error)
        }
    }

    private static func run(_ arguments: [String]) throws {
        if arguments == ["--version", "-v"] || arguments == ["-v", "--version"] {
            print(environmentReport())
        } else {
            var command = try parseAsRoot(SeedArgument.attached(arguments))
            try command.run()
        }
    }

    private static func environmentReport() -> String {
        let environment = RuntimeOptions.environment
        let threads = ThreadCount.detect(environment: environment)
        let supported = InstructionSet.supported
        let forced = environment["LVO_ISA"]
        let fastest = (try? InstructionSet.fastestPrecision(of: forced)) ?? .float32
        return """
            lvo \(Release.version)
            instruction sets: \(supported.joined(separator: ", ")); \
            in use: \(forced ?? supported[0])\(forced == nil ? "" : " (LVO_ISA)")
            precision: f32; with --precision auto: \(fastest.rawValue)
            threads: \(threads.count) (\(threads.reason))
            """
    }
}
