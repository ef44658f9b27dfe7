import Experiments
import Files

/// One key of `study.yaml`: its name, what it may be, its default, and a line for the commented file.
public struct Setting: Sendable {
    public enum Kind: Sendable {
        case text
        case texts
        case choice([String])
        case flag
        case integer(ClosedRange<Int>)
        case integers
        case number(ClosedRange<Double>)
        /// A row of the dream's table.
        case parameter(DreamParameter)
    }

    /// Dotted: `section.name`.
    public let key: String
    public let kind: Kind
    public private(set) var standard: JSON
    public let help: String

    init(_ key: String, _ kind: Kind, _ standard: JSON, _ help: String) {
        self.key = key
        self.kind = kind
        self.standard = standard
        self.help = help
        // A default written 500 for a number means 500.0, as it does in the file.
        guard let accepted = accept(standard) else { preconditionFailure("default of \(key): \(standard)") }
        self.standard = accepted
    }

    /// What may stand there, for messages.
    var expected: String {
        switch kind {
        case .text: "text"
        case .texts: "a list of texts"
        case .choice(let names): "one of \(names.joined(separator: ", "))"
        case .flag: "true or false"
        case .integer(let range): "a whole number from \(range.lowerBound) to \(range.upperBound)"
        case .integers: "a list of whole numbers from 0"
        case .number(let range): "a number from \(range.lowerBound) to \(range.upperBound)"
        case .parameter(let row): row.expected
        }
    }

    /// The value of that meaning, or nil if it is none. A single text or number may stand for a list of one.
    func accept(_ value: JSON) -> JSON? {
        switch kind {
        case .text: return value.string.map(JSON.string) ?? value.int.map { .string("\($0)") }
        case .texts:
            let elements = value.array ?? [value]
            let texts = elements.compactMap { $0.string ?? $0.int.map { "\($0)" } }
            return texts.count == elements.count ? .array(texts.map(JSON.string)) : nil
        case .choice(let names): return value.string.flatMap { names.contains($0) ? .string($0) : nil }
        case .flag: return value.bool.map(JSON.bool)
        case .integer(let range): return value.int.flatMap { range.contains($0) ? .integer($0) : nil }
        case .integers:
            let elements = value.array ?? [value]
            let numbers = elements.compactMap(\.int).filter { $0 >= 0 }
            return numbers.count == elements.count ? .array(numbers.map(JSON.integer)) : nil
        case .number(let range): return value.double.flatMap { range.contains($0) ? .number($0) : nil }
        case .parameter(let row): return row.accept(value)
        }
    }
}

/// Values of all settings.
public struct SettingValues: Sendable, Equatable {
    public private(set) var values: [String: JSON]

    init(_ values: [String: JSON]) { self.values = values }

    private func value(_ key: String) -> JSON {
        guard let value = values[key] else { preconditionFailure("no setting \(key)") }
        return value
    }

    package func text(_ key: String) -> String { value(key).string ?? "" }
    package func texts(_ key: String) -> [String] { value(key).array?.compactMap(\.string) ?? [] }
    package func flag(_ key: String) -> Bool { value(key).bool ?? false }
    package func integer(_ key: String) -> Int { value(key).int ?? 0 }
    package func integers(_ key: String) -> [Int] { value(key).array?.compactMap(\.int) ?? [] }
    package func number(_ key: String) -> Double { value(key).double ?? 0 }

    /// The settings of one section, for fingerprints: `section` without the dot.
    package func section(_ section: String) -> JSON {
        JSON(values.filter { $0.key.hasPrefix(section + ".") }.sorted { $0.key < $1.key }.map { ($0.key, $0.value) })
    }
}
