#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// What can be wrong with a weights or configuration file.
public enum FileFailure: Failure, Equatable {
    /// The file is absent or may not be read.
    case cannotRead(file: String, reason: String)
    /// The system has no memory to read the file with.
    case noMemory(file: String)
    /// The output could not be written.
    case cannotWrite(file: String, reason: String)
    /// The output is there already and overwriting was not asked for.
    case exists(file: String)
    /// The bytes are not what the format says.
    case malformed(file: String, reason: String)
    /// A well-formed file of a kind this program does not run.
    case unsupported(file: String, found: String, advice: String)
    case missingTensors(file: String, names: [String])
    case extraTensors(file: String, names: [String])
    case misshapen(file: String, tensor: String, expected: [Int], found: [Int])
    /// A configuration key that is absent, of another type, or of a value that is not supported.
    case badKey(file: String, key: String, expected: String, found: String)

    /// What the last failed system call, in `errno`, says of a file that was to be read.
    package static func reading(_ file: String) -> FileFailure {
        errno == ENOMEM ? .noMemory(file: file) : .cannotRead(file: file, reason: systemError())
    }

    /// `.missingInput` for what cannot be read, `.cannotWrite` for what cannot be written, `.outOfMemory`, else `.badData`.
    public var kind: FailureKind {
        switch self {
        case .cannotRead: .missingInput
        case .noMemory: .outOfMemory
        case .cannotWrite, .exists: .cannotWrite
        default: .badData
        }
    }

    public var description: String {
        switch self {
        case .cannotRead(let file, let reason): "\(file): cannot be read: \(reason)"
        case .noMemory(let file): "\(file): no memory to read it with; allow more of it"
        case .cannotWrite(let file, let reason): "\(file): cannot be written: \(reason)"
        case .exists(let file): "\(file): exists already"
        case .malformed(let file, let reason): "\(file): \(reason); the file is damaged or not of this format"
        case .unsupported(let file, let found, let advice): "\(file): \(found); \(advice)"
        case .missingTensors(let file, let names):
            "\(file): \(Self.list(names)) missing; `lvo inspect` tells what the file holds"
        case .extraTensors(let file, let names):
            "\(file): \(Self.list(names)) not part of the model the configuration describes; "
                + "check that config.json belongs to this file"
        case .misshapen(let file, let tensor, let expected, let found):
            "\(file): tensor \(tensor): expected shape \(expected), found \(found); "
                + "check that config.json belongs to this file"
        case .badKey(let file, let key, let expected, let found):
            "\(file): \(key): expected \(expected), found \(found)"
        }
    }

    private static func list(_ names: [String]) -> String {
        let shown = names.prefix(3).joined(separator: ", ")
        let rest = names.count > 3 ? " and \(names.count - 3) more" : ""
        return "\(names.count == 1 ? "tensor" : "tensors") \(shown)\(rest)"
    }
}
