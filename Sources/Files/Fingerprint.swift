import Crypto

/// SHA-256 in hexadecimal: what results are keyed and checked by.
public enum Fingerprint {
    /// Of a JSON value: of its canonical text, so that equal values have equal fingerprints.
    public static func of(_ key: JSON) -> String { of(Array(key.serialized().utf8)) }

    /// SHA-256 of the bytes, in 64 hexadecimal digits.
    public static func of(_ bytes: [UInt8]) -> String { hex(SHA256.hash(data: bytes)) }

    /// Of a file's bytes.
    ///
    /// - Throws: `FileFailure.cannotRead`.
    public static func of(file path: String) throws -> String {
        let file = try MappedFile(path: path)
        defer { withExtendedLifetime(file) {} }
        var hash = SHA256()
        hash.update(bufferPointer: file.bytes)
        return hex(hash.finalize())
    }

    /// Of pieces of memory, one after another.
    public static func of(pieces: some Sequence<UnsafeRawBufferPointer>) -> String {
        var hash = SHA256()
        for piece in pieces { hash.update(bufferPointer: piece) }
        return hex(hash.finalize())
    }

    private static func hex(_ digest: some Sequence<UInt8>) -> String {
        digest.map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }.joined()
    }
}
