import CLVO
import Files
import SparseAutoencoders
import StableDiffusion

/// The codes of lvo.h.
enum Code: Int32, CaseIterable {
    case ok, invalidArgument, notFound, badFile, unsupported, closed, cancelled, forked, outOfMemory, cannotWrite, failed

    /// The name in lvo.h.
    var name: StaticString {
        switch self {
        case .ok: "LVO_OK"
        case .invalidArgument: "LVO_INVALID_ARGUMENT"
        case .notFound: "LVO_NOT_FOUND"
        case .badFile: "LVO_BAD_FILE"
        case .unsupported: "LVO_UNSUPPORTED"
        case .closed: "LVO_CLOSED"
        case .cancelled: "LVO_CANCELLED"
        case .forked: "LVO_FORKED"
        case .outOfMemory: "LVO_OUT_OF_MEMORY"
        case .cannotWrite: "LVO_CANNOT_WRITE"
        case .failed: "LVO_FAILED"
        }
    }

    /// What an error of the library is to a caller.
    init(_ failure: any Failure) {
        switch failure {
        case let refusal as Refusal: self = refusal.code
        case FileFailure.unsupported: self = .unsupported
        case is MemoryShortage: self = .outOfMemory
        case is TrainingDivergence: self = .failed
        default: self.init(failure.kind)
        }
    }

    private init(_ kind: FailureKind) {
        switch kind {
        case .usage: self = .invalidArgument
        case .badData: self = .badFile
        case .missingInput: self = .notFound
        case .internalError: self = .failed
        case .outOfMemory: self = .outOfMemory
        case .cannotWrite: self = .cannotWrite
        case .stoppedEarly: self = .cancelled
        }
    }
}

/// An error that only this interface knows.
struct Refusal: Failure {
    let code: Code
    let description: String
    var kind: FailureKind { .usage }

    init(_ code: Code, _ description: String) { (self.code, self.description) = (code, description) }

    /// A wrong argument.
    init(_ description: String) { self.init(.invalidArgument, description) }
}

/// Runs a function's body: its code, with the message in the caller's struct.
func report(to error: UnsafeMutablePointer<lvo_error>?, _ body: () throws -> Void) -> Int32 {
    do {
        try body()
        return Code.ok.rawValue
    } catch let failure as any Failure {
        return write(Code(failure), failure.description, to: error)
    } catch let other {
        return write(.failed, "\(other)", to: error)
    }
}

private func write(_ code: Code, _ message: String, to error: UnsafeMutablePointer<lvo_error>?) -> Int32 {
    guard let error else { return code.rawValue }
    error.pointee.code = code.rawValue
    withUnsafeMutableBytes(of: &error.pointee.message) { room in
        // Whole characters of one line.
        var used = 0
        for scalar in message.unicodeScalars {
            let bytes = UTF8.encode(scalar.properties.isWhitespace || scalar.value < 0x20 ? " " : scalar) ?? .init()
            if used + bytes.count >= room.count { break }
            for byte in bytes {
                room[used] = byte
                used += 1
            }
        }
        room[used] = 0
    }
    return code.rawValue
}

@c @implementation
public func lvo_code_name(_ code: Int32) -> UnsafePointer<CChar>? {
    let unknown: StaticString = "unknown"
    return (Code(rawValue: code)?.name ?? unknown).cString
}

@c @implementation
public func lvo_version() -> UnsafePointer<CChar>? { version.cString }

extension StaticString {
    /// Its bytes, which end with a zero.
    fileprivate var cString: UnsafePointer<CChar> {
        UnsafeRawPointer(utf8Start).assumingMemoryBound(to: CChar.self)
    }
}

/// `Release.version`, as text that lives as long as the library; a test compares them.
private let version: StaticString = "0.2.0"
