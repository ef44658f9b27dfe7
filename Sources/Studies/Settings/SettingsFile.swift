import Files
import Foundation
import Yams

/// Reads `study.yaml`: every key known, every value of its kind, what is not said taken from the defaults.
public enum SettingsFile {
    /// - Parameters:
    ///   - path: the YAML file.
    ///   - overrides: texts `key=value`, the value in YAML; they win over the file.
    /// - Throws: `SimpleFailure`: `.missingInput` without the file, `.usage` for anything wrong in it, naming file, line,
    ///   key, what was expected, and the nearest key there is.
    public static func read(_ path: String, overrides: [String] = []) throws -> SettingValues {
        do {
            return try parse(TextLines.text(of: path), name: path, overrides: overrides)
        } catch FileFailure.cannotRead(let file, let reason) {
            throw SimpleFailure(
                .missingInput, "\(file): cannot be read: \(reason); lvo study init writes a commented one")
        }
    }

    public static func parse(_ text: String, name: String, overrides: [String] = []) throws -> SettingValues {
        var given: [String: (value: JSON, place: String)] = [:]
        do {
            if let root = try Yams.compose(yaml: text) { try flatten(root, prefix: "", name: name, into: &given) }
        } catch let error as YamlError {
            throw SimpleFailure(.usage, "\(name): not YAML: \("\(error)".replacing("\n", with: " "))")
        }
        for override in overrides {
            let parts = override.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2 else { throw SimpleFailure(.usage, "setting \(override): expected key=value") }
            guard let node = try? Yams.compose(yaml: String(parts[1])) ?? "" else {
                throw SimpleFailure(.usage, "setting \(override): its value is not YAML; quotes around it make it a text")
            }
            let key = parts[0].trimmingCharacters(in: .whitespaces)
            let place = "setting \(override)"
            given[key] = (try json(node, key: key, place: place), place)
        }
        return try resolve(given, name: name)
    }

    /// The file with all settings and their help; `values` in place of defaults where given.
    public static func commented(_ values: SettingValues? = nil) -> String {
        let preset = values?.text("dream.preset") ?? Schema.defaultPreset
        var text = "# A study for lvo. Every key may be left away: it then has the value written here.\n"
        var section = ""
        for setting in Schema.settings(preset: preset) {
            let parts = setting.key.split(separator: ".").map(String.init)
            if parts.count == 2 && parts[0] != section {
                section = parts[0]
                let help = Schema.sections.first { $0.name == section }?.help ?? ""
                text += "\n" + help.split(separator: "\n").map { "# \($0)\n" }.joined() + "\(section):\n"
            }
            let value = (values?.values[setting.key] ?? setting.standard).serialized()
            let line = (parts.count == 2 ? "  " : "") + "\(parts[parts.count - 1]): \(value)"
            text += Text.left(line, 33) + " # \(setting.help)\n"
        }
        return text
    }

    private static func resolve(
        _ given: [String: (value: JSON, place: String)], name: String
    ) throws -> SettingValues {
        var preset = Schema.defaultPreset
        if let chosen = given["dream.preset"]?.value.string, Schema.presets.contains(chosen) {
            preset = chosen
        }
        let settings = Schema.settings(preset: preset)
        for (key, entry) in given.sorted(by: { $0.key < $1.key }) where !settings.contains(where: { $0.key == key }) {
            let nearest = Text.nearest(to: key, among: settings.map(\.key)).map { "; the nearest known one is \($0)" } ?? ""
            throw SimpleFailure(.usage, "\(entry.place): unknown key \(key)\(nearest)")
        }
        var values: [String: JSON] = [:]
        for setting in settings {
            guard let entry = given[setting.key] else {
                values[setting.key] = setting.standard
                continue
            }
            guard let value = setting.accept(entry.value) else {
                let found = entry.value.serialized()
                throw SimpleFailure(
                    .usage, "\(entry.place): \(setting.key): expected \(setting.expected), found \(found)")
            }
            values[setting.key] = value
        }
        return SettingValues(values)
    }

    private static func flatten(
        _ node: Node, prefix: String, name: String, into given: inout [String: (value: JSON, place: String)]
    ) throws {
        guard let mapping = node.mapping else {
            throw SimpleFailure(.usage, "\(place(name, node)): expected keys with values")
        }
        for (keyNode, value) in mapping {
            let key = prefix + (keyNode.string ?? "")
            if value.mapping != nil {
                try flatten(value, prefix: key + ".", name: name, into: &given)
            } else if given[key] != nil {
                throw SimpleFailure(.usage, "\(place(name, keyNode)): \(key) is there twice")
            } else {
                given[key] = (try json(value, key: key, place: place(name, keyNode)), place(name, keyNode))
            }
        }
    }

    private static func place(_ name: String, _ node: Node) -> String {
        node.mark.map { "\(name), line \($0.line)" } ?? name
    }

    private static func json(_ node: Node, key: String, place: String) throws -> JSON {
        if let sequence = node.sequence { return .array(try sequence.map { try json($0, key: key, place: place) }) }
        guard let scalar = node.scalar else {
            throw SimpleFailure(.usage, "\(place): \(key): expected a value, found keys")
        }
        // A quoted text stays one, whatever it looks like.
        if scalar.style != .plain && scalar.style != .any { return .string(scalar.string) }
        if ["null", "Null", "NULL", "~"].contains(scalar.string) { return .null }
        if let flag = node.bool { return .bool(flag) }
        if let number = node.int { return .integer(number) }
        if let number = node.float { return .number(number) }
        return .string(scalar.string)
    }
}
