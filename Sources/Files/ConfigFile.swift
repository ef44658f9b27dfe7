/// A `config.json` with accessors that name the file and the key when something is wrong.
///
/// A key that is absent or null takes the default, as diffusers and transformers do; without a default it is an error.
public struct ConfigFile: Sendable {
    /// Path or other name for messages.
    public let file: String
    /// The whole content, an object.
    public let json: JSON

    /// - Parameter file: a path or another name, for messages.
    /// - Throws: `FileFailure.malformed` unless `json` is an object.
    public init(file: String, json: JSON) throws(FileFailure) {
        guard json.object != nil else {
            throw .malformed(file: file, reason: "expected a JSON object, found \(json.typeName)")
        }
        self.file = file
        self.json = json
    }

    /// Reads a file.
    ///
    /// - Throws: `FileFailure` if it cannot be read or is not a JSON object.
    public init(path: String) throws(FileFailure) {
        try self.init(file: path, json: JSON.read(path))
    }

    /// A whole number.
    ///
    /// - Throws: `FileFailure.badKey` if it is of another type, or absent without a default.
    public func int(_ key: String, default standard: Int? = nil) throws(FileFailure) -> Int {
        try value(key, standard, "a whole number") { $0.int }
    }

    /// A number.
    ///
    /// - Throws: as `int`.
    public func double(_ key: String, default standard: Double? = nil) throws(FileFailure) -> Double {
        try value(key, standard, "a number") { $0.double }
    }

    /// A truth value.
    ///
    /// - Throws: as `int`.
    public func bool(_ key: String, default standard: Bool? = nil) throws(FileFailure) -> Bool {
        try value(key, standard, "true or false") { $0.bool }
    }

    /// A string.
    ///
    /// - Throws: as `int`.
    public func string(_ key: String, default standard: String? = nil) throws(FileFailure) -> String {
        try value(key, standard, "a string") { $0.string }
    }

    /// An array of whole numbers.
    ///
    /// - Throws: as `int`.
    public func ints(_ key: String, default standard: [Int]? = nil) throws(FileFailure) -> [Int] {
        try value(key, standard, "an array of whole numbers") { Self.all($0) { $0.int } }
    }

    /// An array of strings.
    ///
    /// - Throws: as `int`.
    public func strings(_ key: String, default standard: [String]? = nil) throws(FileFailure) -> [String] {
        try value(key, standard, "an array of strings") { Self.all($0) { $0.string } }
    }

    /// A size: a whole number from 1 to 2³⁰, so that products of a few do not overflow unnoticed.
    public func size(_ key: String, default standard: Int? = nil) throws(FileFailure) -> Int {
        let size = try int(key, default: standard)
        guard (1...1 << 30).contains(size) else { throw bad(key, expected: "a positive size", found: "\(size)") }
        return size
    }

    /// The error for a value that this file's reader does not accept.
    public func bad(_ key: String, expected: String, found: String) -> FileFailure {
        .badKey(file: file, key: key, expected: expected, found: found)
    }

    private func value<T>(
        _ key: String, _ standard: T?, _ expected: String, _ convert: (JSON) -> T?
    ) throws(FileFailure) -> T {
        guard let member = json[key], !member.isNull else {
            if let standard { return standard }
            throw bad(key, expected: expected, found: "nothing")
        }
        guard let converted = convert(member) else { throw bad(key, expected: expected, found: member.typeName) }
        return converted
    }

    private static func all<T>(_ json: JSON, _ convert: (JSON) -> T?) -> [T]? {
        guard let array = json.array else { return nil }
        let converted = array.compactMap(convert)
        return converted.count == array.count ? converted : nil
    }
}

extension JSON {
    /// Parses the file at `path`; errors name it.
    public static func read(_ path: String, limits: Limits = Limits()) throws(FileFailure) -> JSON {
        let file = try MappedFile(path: path)
        do throws(JSONFailure) {
            defer { withExtendedLifetime(file) {} }
            return try parse(file.bytes, limits: limits)
        } catch {
            throw .malformed(file: path, reason: error.description)
        }
    }

    /// Writes the pretty text of this value at `path`, whole or not at all.
    public func write(to path: String, overwrite: Bool) throws(FileFailure) {
        let output = try OutputFile(path: path, overwrite: overwrite)
        try output.write(Array(serialized(pretty: true).utf8))
        try output.commit()
    }
}
