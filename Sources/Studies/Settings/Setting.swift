import Experiments
import Files
import Visualization

/// One key of `study.yaml`: its name, what it may be, its default, and a line for the commented file.
public struct Setting: Sendable {
    public enum Kind: Sendable {
        case text
        /// Of a file or folder, or `embedded`.
        case path
        /// Any number, none of them empty.
        case paths
        /// Any number of `FILE` or `FILE:TOKEN`.
        case embeddings
        /// At least one, none of them empty.
        case names
        case choice([String])
        /// Any number of them, none twice.
        case choices([String])
        case flag
        case integer(ClosedRange<Int>)
        /// 32 bits. None is ever drawn: a study repeats.
        case seed
        /// At least one and no two alike: a result's file is named by its seed.
        case seeds
        /// At least one.
        case timesteps
        case number(ClosedRange<Double>)
        /// A row of the dream's table.
        case parameter(DreamParameter)
        /// A `FeatureChoice`.
        case features
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
        case .path: "a path or embedded"
        case .paths: "a list of paths"
        case .embeddings: "a list of paths, each file or file:token"
        case .names: "a list of names, at least one"
        case .choice(let names): "one of \(names.joined(separator: ", "))"
        case .choices(let names): "a list of \(names.joined(separator: ", ")), none twice"
        case .flag: "true or false"
        case .integer(let range): "a whole number from \(range.lowerBound) to \(range.upperBound)"
        case .seed: "a whole number from 0 to \(UInt32.max) (none is drawn: a study must repeat)"
        case .seeds:
            "a list of 1 to \(Self.mostSeeds) different whole numbers from 0 (none is drawn: a study must repeat)"
        case .timesteps: "a list of time steps from 0 to 999, peaks or between, at least one"
        case .number(let range): "a number from \(range.lowerBound) to \(range.upperBound)"
        case .parameter(let row): row.expected
        case .features: FeatureChoice.expected
        }
    }

    /// One batch: more seeds are more studies.
    private static let mostSeeds = 1000

    /// The value of that meaning, or nil if it is none. A single text or number may stand for a list of one.
    func accept(_ value: JSON) -> JSON? {
        switch kind {
        case .text: Self.text(value).map(JSON.string)
        case .path: Self.text(value).flatMap { $0.isEmpty ? nil : .string($0) }
        case .paths: Self.texts(value) { !$0.contains("") }
        case .embeddings: Self.texts(value) { $0.allSatisfy { ModelReference.Embedding(argument: $0) != nil } }
        case .names: Self.list(value, Self.text) { !$0.contains("") }.map { .array($0.map(JSON.string)) }
        case .choice(let names): value.string.flatMap { names.contains($0) ? .string($0) : nil }
        case .choices(let names): Self.texts(value) { Set($0).isSubset(of: names) && Set($0).count == $0.count }
        case .flag: value.bool.map(JSON.bool)
        case .integer(let range): value.int.flatMap { range.contains($0) ? .integer($0) : nil }
        case .seed: value.int.flatMap { (0...Int(UInt32.max)).contains($0) ? .integer($0) : nil }
        case .seeds:
            Self.list(value, \.int) { seeds in
                seeds.count <= Self.mostSeeds && Set(seeds).count == seeds.count && seeds.allSatisfy { $0 >= 0 }
            }.map { .array($0.map(JSON.integer)) }
        case .timesteps:
            Self.list(value, Self.text) { $0.allSatisfy { DreamTimestep($0) != nil } }.map { .array($0.map(JSON.string)) }
        case .number(let range): value.double.flatMap { range.contains($0) ? .number($0) : nil }
        case .parameter(let row): row.accept(value)
        case .features: Self.text(value).flatMap { (try? FeatureChoice($0)) == nil ? nil : .string($0) }
        }
    }

    /// Any number of texts that are right together.
    private static func texts(_ value: JSON, where isRight: ([String]) -> Bool) -> JSON? {
        value.array?.isEmpty == true ? [] : list(value, text, where: isRight).map { .array($0.map(JSON.string)) }
    }

    private static func text(_ value: JSON) -> String? { value.string ?? value.int.map { "\($0)" } }

    /// At least one element, all of a kind and right together.
    private static func list<Element>(
        _ value: JSON, _ element: (JSON) -> Element?, where isRight: ([Element]) -> Bool
    ) -> [Element]? {
        let given = value.array ?? [value]
        let elements = given.compactMap(element)
        return !given.isEmpty && elements.count == given.count && isRight(elements) ? elements : nil
    }
}

/// Where in the noise schedule dreams are made.
public enum DreamTimestep: Sendable, Equatable {
    case at(Int)
    /// Wherever the subject's activity has a peak.
    case peaks
    /// Halfway between the peaks, see `ActivityProfile.between`.
    case between

    init?(_ text: String) {
        switch (text, Int(text)) {
        case ("peaks", _): self = .peaks
        case ("between", _): self = .between
        case (_, let timestep?) where (0...999).contains(timestep): self = .at(timestep)
        default: return nil
        }
    }
}

/// Values of all settings, each of its setting's kind.
public struct SettingValues: Sendable, Equatable {
    public private(set) var values: [String: JSON]

    /// - Parameter values: what `Setting.accept` returned, for every setting of the schema.
    init(_ values: [String: JSON]) { self.values = values }

    /// - Precondition: there is such a setting, and it is of the kind that is asked for.
    private func value<Value>(_ key: String, _ read: (JSON) -> Value?) -> Value {
        guard let value = values[key].flatMap(read) else { preconditionFailure("no setting \(key) of this kind") }
        return value
    }

    package func text(_ key: String) -> String { value(key, \.string) }
    package func texts(_ key: String) -> [String] { value(key) { Self.all($0, \.string) } }
    package func flag(_ key: String) -> Bool { value(key, \.bool) }
    package func integer(_ key: String) -> Int { value(key, \.int) }
    package func integers(_ key: String) -> [Int] { value(key) { Self.all($0, \.int) } }
    package func number(_ key: String) -> Double { value(key, \.double) }

    private static func all<Element>(_ list: JSON, _ read: (JSON) -> Element?) -> [Element]? {
        guard let elements = list.array else { return nil }
        let values = elements.compactMap(read)
        return values.count == elements.count ? values : nil
    }

    /// With the optimization of a kind of target as a preset has it. Where it is sought stays: examples are ranked by it.
    func with(preset: String, for space: Space) -> SettingValues {
        let kept = ["where", Schema.compare].map { "dream_\(space.rawValue).\($0)" }
        var changed = values
        for setting in Schema.optimization(space, preset: preset) where !kept.contains(setting.key) {
            changed[setting.key] = setting.standard
        }
        return SettingValues(changed)
    }

    /// The settings of one section, for fingerprints: `section` without the dot.
    package func section(_ section: String) -> JSON {
        JSON(values.filter { $0.key.hasPrefix(section + ".") }.sorted { $0.key < $1.key }.map { ($0.key, $0.value) })
    }
}
