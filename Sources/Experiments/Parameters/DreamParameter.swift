import Files
import Visualization

/// One parameter of the dream: a row of the table from which the study's schema, validation, records, the
/// options of `lvo dream` and the repeating command come.
public struct DreamParameter: Sendable {
    /// The values it takes.
    public enum Kind: Sendable, Equatable {
        case flag
        case choice([String])
        case integer(ClosedRange<Int>)
        case number(ClosedRange<Double>)
        /// Above 0, up to this.
        case positive(Double)
        /// A `Where`, as text.
        case location
    }

    /// Its name in records and `study.yaml`: `learning_rate`.
    public let key: String
    /// What values it takes, and in which range.
    public let kind: Kind
    /// One sentence for the options' help and for `study.yaml`'s comments.
    public let help: String
    private let get: @Sendable (DreamSettings) -> JSON
    private let set: @Sendable (inout DreamSettings, JSON) -> Void

    /// Its name on the command line: `learning-rate`.
    public var option: String { key.replacing("_", with: "-") }

    init(_ key: String, _ path: WritableKeyPath<DreamSettings, Int> & Sendable, _ range: ClosedRange<Int>, _ help: String) {
        self.init(
            key, .integer(range), help, get: { .integer($0[keyPath: path]) },
            set: { $0[keyPath: path] = $1.int ?? $0[keyPath: path] })
    }

    init(_ key: String, _ path: WritableKeyPath<DreamSettings, Double> & Sendable, _ kind: Kind, _ help: String) {
        self.init(
            key, kind, help, get: { .number($0[keyPath: path]) },
            set: { $0[keyPath: path] = $1.double ?? $0[keyPath: path] })
    }

    init(_ key: String, _ path: WritableKeyPath<DreamSettings, Bool> & Sendable, _ help: String) {
        self.init(
            key, .flag, help, get: { .bool($0[keyPath: path]) },
            set: { $0[keyPath: path] = $1.bool ?? $0[keyPath: path] })
    }

    init<Choice: RawRepresentable<String> & CaseIterable & Sendable>(
        _ key: String, _ path: WritableKeyPath<DreamSettings, Choice> & Sendable, _ help: String
    ) {
        self.init(
            key, .choice(Choice.allCases.map(\.rawValue)), help, get: { .string($0[keyPath: path].rawValue) },
            set: { $0[keyPath: path] = $1.string.flatMap(Choice.init) ?? $0[keyPath: path] })
    }

    init(_ key: String, _ path: WritableKeyPath<DreamSettings, Where> & Sendable, _ help: String) {
        self.init(
            key, .location, help, get: { .string($0[keyPath: path].text) },
            set: { $0[keyPath: path] = $1.string.flatMap(Where.init) ?? $0[keyPath: path] })
    }

    private init(
        _ key: String, _ kind: Kind, _ help: String, get: @escaping @Sendable (DreamSettings) -> JSON,
        set: @escaping @Sendable (inout DreamSettings, JSON) -> Void
    ) {
        (self.key, self.kind, self.help, self.get, self.set) = (key, kind, help, get, set)
    }

    /// The value in settings.
    public func value(in settings: DreamSettings) -> JSON { get(settings) }

    /// The value of that meaning, or nil if it is none: 3 for a number means 3.0.
    public func accept(_ value: JSON) -> JSON? {
        switch kind {
        case .flag: value.bool.map(JSON.bool)
        case .choice(let names): value.string.flatMap { names.contains($0) ? .string($0) : nil }
        case .integer(let range): value.int.flatMap { range.contains($0) ? .integer($0) : nil }
        case .number(let range): value.double.flatMap { range.contains($0) ? .number($0) : nil }
        case .positive(let limit): value.double.flatMap { $0 > 0 && $0 <= limit ? .number($0) : nil }
        case .location: value.string.flatMap(Where.init).map { .string($0.text) }
        }
    }

    /// The values allowed, for messages.
    public var expected: String {
        switch kind {
        case .flag: "true or false"
        case .choice(let names): "one of \(names.joined(separator: ", "))"
        case .integer(let range): "a whole number from \(range.lowerBound) to \(range.upperBound)"
        case .number(let range): "a number from \(range.lowerBound) to \(range.upperBound)"
        case .positive(let limit): "a number above 0, up to \(limit)"
        case .location: Where.expected
        }
    }

    /// - Throws: `SimpleFailure(.usage)` for a value outside its range, which begins with `name`, or else
    ///   with the key.
    public func assign(_ value: JSON, to settings: inout DreamSettings, name: String? = nil) throws {
        guard let accepted = accept(value) else {
            throw SimpleFailure(.usage, "\(name ?? key): expected \(expected), found \(Self.text(value))")
        }
        set(&settings, accepted)
    }

    /// The words of the command line that give this setting under any preset.
    public func arguments(_ settings: DreamSettings) -> [String] {
        let value = value(in: settings)
        if let flag = value.bool { return [flag ? "--\(option)" : "--no-\(option)"] }
        return ["--\(option)", Self.text(value)]
    }

    /// `Default: 60.`, of the preset `clear`.
    public var defaults: String { "Default: \(Self.text(value(in: DreamSettings(.clear))))." }

    private static func text(_ value: JSON) -> String {
        switch value {
        case .integer(let number): "\(number)"
        case .number(let number): "\(number)"
        case .bool(let flag): "\(flag)"
        case .string(let text): text
        default: value.typeName
        }
    }
}
