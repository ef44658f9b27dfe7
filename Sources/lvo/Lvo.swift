import ArgumentParser
import Ops
import Parallel
import Tensors

@main
struct Lvo: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lvo",
        abstract: "Look inside a diffusion model on plain CPU servers.",
        discussion: "`lvo --version -v` tells which kernels and how many threads this machine gets, and why.",
        version: version,
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
        ])

    static let version = "0.1.0"

    /// ArgumentParser's own `main`, but with this program's exit codes and one line for an error.
    static func main() async {
        let arguments = Array(CommandLine.arguments.dropFirst())
        if arguments == ["--version", "-v"] || arguments == ["-v", "--version"] {
            print(environmentReport())
            return
        }
        do {
            var command = try parseAsRoot(arguments)
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
        } catch {
            exit(reporting: error)
        }
    }

    private static func environmentReport() -> String {
        let environment = RuntimeOptions.environment
        let threads = ThreadCount.detect(environment: environment)
        let supported = InstructionSet.supported
        let forced = environment["LVO_ISA"]
        return """
            lvo \(version)
            instruction sets: \(supported.joined(separator: ", ")); \
            in use: \(forced ?? supported[0])\(forced == nil ? "" : " (LVO_ISA)")
            threads: \(threads.count) (\(threads.reason))
            """
    }
}
