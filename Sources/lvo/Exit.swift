import ArgumentParser
import Files
import Foundation
import StableDiffusion

extension ParsableCommand {
    /// The option that helps: libraries know none.
    private static func advice(for failure: any Failure) -> String? {
        switch failure {
        case FileFailure.exists: "pass --overwrite to replace it"
        case let shortage as MemoryShortage where !shortage.isWhatIsFree:
            "give --memory \(formatBytes(shortage.needed).replacing(" ", with: ""))"
        case let missing as MissingComponent where missing.component == .vae: "give it with --vae"
        default: nil
        }
    }

    /// Ends the process: help and version on standard output with 0; errors as one line on standard error,
    /// with 2 for wrong usage (where ArgumentParser would take 64) and the failure's own code otherwise.
    static func exit(reporting error: any Error) -> Never {
        if let failure = error as? any Failure {
            note(failure.description + (advice(for: failure).map { "; \($0)" } ?? ""))
            Foundation.exit(failure.kind.rawValue)
        }
        if let code = error as? ExitCode { Foundation.exit(code.rawValue) }
        switch exitCode(for: error) {
        case .success:
            // Help and version.
            print(fullMessage(for: error))
            do { try Output.check() } catch { exit(reporting: error) }
            Foundation.exit(EXIT_SUCCESS)
        case .validationFailure:
            note(message(for: error) + " (`lvo help` and `lvo COMMAND --help` explain)")
            Foundation.exit(FailureKind.usage.rawValue)
        default:
            note("\(error)")
            Foundation.exit(FailureKind.internalError.rawValue)
        }
    }
}
