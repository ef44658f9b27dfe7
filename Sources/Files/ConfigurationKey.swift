/// A key that a program writes into a configuration, and what is done about it here.
///
/// Every format has one table of all its keys: what it says is what is done, and what docs/models.md prints. A key that is
/// in none may change numbers: it is refused unless it says nothing.
package struct ConfigurationKey: Sendable {
    package enum Treatment: String, Sendable {
        /// Read.
        case used
        /// Says nothing about the function: training, provenance, devices.
        case harmless
        /// Changes the function in a way that is not computed here; refused unless it has one of the values `accepted`.
        case refused
    }

    package let name: String
    package let treatment: Treatment
    /// Values under which a refused key changes nothing. An absent or null key always does.
    package let accepted: [JSON]
    /// Whether a list of accepted values, one for each level of the network, is accepted too.
    package var isPerLevel = false

    /// - Parameter names: separated by white space.
    package static func used(_ names: String) -> [Self] { all(names, .used) }
    package static func harmless(_ names: String) -> [Self] { all(names, .harmless) }
    package static func refused(_ names: String, unless accepted: JSON...) -> [Self] { all(names, .refused, accepted) }

    package static func refusedPerLevel(_ names: String, unless accepted: JSON...) -> [Self] {
        all(names, .refused, accepted).map { key in
            var key = key
            key.isPerLevel = true
            return key
        }
    }

    private static func all(_ names: String, _ treatment: Treatment, _ accepted: [JSON] = []) -> [Self] {
        names.split(whereSeparator: \.isWhitespace).map {
            Self(name: String($0), treatment: treatment, accepted: accepted)
        }
    }

    /// Unknown keys that say nothing, and those that programs keep for themselves (`_name_or_path`), are left alone.
    ///
    /// - Throws: `FileFailure.badKey` for the first key that is refused, or that the table does not know.
    package static func check(_ file: ConfigFile, _ keys: [Self]) throws(FileFailure) {
        let known = Dictionary(uniqueKeysWithValues: keys.map { ($0.name, $0) })
        for (name, value) in file.json.object ?? JSONObject() where !value.isNull {
            guard let key = known[name] else {
                guard value.saysNothing || name.hasPrefix("_") else {
                    throw file.bad(
                        name, expected: "no such key (it may change the function)", found: value.serialized())
                }
                continue
            }
            if key.treatment == .refused, !key.accepts(value) {
                let expected = key.accepted.map { $0.serialized() }.joined(separator: " or ")
                throw file.bad(
                    name, expected: expected.isEmpty ? "no such key (not computed here)" : expected,
                    found: value.serialized())
            }
        }
    }

    /// 1 and 1.0 are the same.
    private func accepts(_ value: JSON) -> Bool {
        if isPerLevel, let levels = value.array { return !levels.isEmpty && levels.allSatisfy(acceptsOne) }
        return acceptsOne(value)
    }

    private func acceptsOne(_ value: JSON) -> Bool {
        accepted.contains { value == $0 || (value.double != nil && value.double == $0.double) }
    }

    /// Rows of Markdown, one per treatment, for docs/models.md.
    package static func rows(_ format: String, _ keys: [Self]) -> String {
        [Treatment.used, .refused, .harmless].map { treatment in
            let names = keys.filter { $0.treatment == treatment }.map { key in
                let values = key.accepted.map { $0.serialized() }.joined(separator: ", ")
                let unless = " (unless \(values)\(key.isPerLevel ? ", also for each level" : ""))"
                return "`\(key.name)`" + (values.isEmpty ? "" : unless)
            }
            return "| \(format) | \(treatment.rawValue) | \(names.isEmpty ? "–" : names.joined(separator: " ")) |\n"
        }.joined()
    }

    /// The head of a table of `rows`.
    package static let head = "| Format | Keys are | Keys |\n|---|---|---|\n"
}

extension JSON {
    /// Null, false or empty: a key with such a value asks for nothing.
    package var saysNothing: Bool {
        switch self {
        case .null, .bool(false): true
        case .array(let elements): elements.isEmpty
        case .object(let members): members.count == 0
        case .string(let text): text.isEmpty
        default: false
        }
    }
}
