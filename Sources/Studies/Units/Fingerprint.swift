import Checkpoints
import Crypto
import Foundation
import Tensors

/// SHA-256 in hexadecimal: what results are keyed and checked by.
public enum Fingerprint {
    /// Of a JSON value: of its canonical text, so that equal values have equal fingerprints.
    public static func of(_ key: JSON) -> String { of(Array(key.serialized().utf8)) }

    public static func of(_ bytes: [UInt8]) -> String { hex(SHA256.hash(data: bytes)) }

    /// Of a file's bytes.
    ///
    /// - Throws: `CheckpointFailure.cannotRead`.
    public static func of(file path: String) throws -> String {
        let file = try MappedFile(path: path)
        defer { withExtendedLifetime(file) {} }
        var hash = SHA256()
        hash.update(bufferPointer: file.bytes)
        return hex(hash.finalize())
    }

    /// Of all files in a folder, names and contents; hidden files are not part of it.
    ///
    /// - Throws: `SimpleFailure(.missingInput)` if there is no such folder.
    public static func of(folder path: String) throws -> String {
        guard let files = FileManager.default.enumerator(atPath: path) else {
            throw SimpleFailure(.missingInput, "\(path): no such folder")
        }
        var members: [(String, JSON)] = []
        for case let name as String in files where !name.split(separator: "/").contains(where: { $0.hasPrefix(".") }) {
            var isFolder: ObjCBool = false
            let file = "\(path)/\(name)"
            guard FileManager.default.fileExists(atPath: file, isDirectory: &isFolder), !isFolder.boolValue else {
                continue
            }
            members.append((name, .string(try of(file: file))))
        }
        return of(JSON(members))
    }

    private static func hex(_ digest: some Sequence<UInt8>) -> String {
        digest.map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }.joined()
    }
}
