import Files
import Ops

/// A call's settings: a JSON object of known keys.
struct Settings {
    private let file: ConfigFile

    /// - Parameter text: NULL and "" mean {}.
    /// - Throws: `Refusal` for text that is no JSON object, and for unknown keys.
    init(_ text: UnsafePointer<CChar>?, keys: [String], _ name: String = "settings") throws {
        let text = try text.map { try Argument.text($0, name) } ?? ""
        do {
            try self.init(text.isEmpty ? .object(JSONObject()) : JSON.parse(text), keys: keys, name)
        } catch let failure as JSONFailure {
            throw Refusal("\(name): \(failure)")
        }
    }

    /// - Parameter name: of the object, for messages.
    init(_ json: JSON, keys: [String], _ name: String) throws {
        file = try Self.refusing { try ConfigFile(file: name, json: json) }
        for (key, value) in json.object ?? JSONObject() where !keys.contains(key) && !value.isNull {
            let nearest = Text.nearest(to: key, among: keys).map { "; the nearest known one is \($0)" } ?? ""
            throw Refusal("\(name): unknown key \(key)\(nearest)")
        }
    }

    /// The member of that name; nil if it is absent or null.
    subscript(key: String) -> JSON? { file.json[key].flatMap { $0.isNull ? nil : $0 } }

    func string(_ key: String) throws -> String? { try given(key) { try file.string(key) } }
    func bool(_ key: String) throws -> Bool? { try given(key) { try file.bool(key) } }
    func strings(_ key: String) throws -> [String]? { try given(key) { try file.strings(key) } }
    func ints(_ key: String) throws -> [Int]? { try given(key) { try file.ints(key) } }

    func int(_ key: String, in range: ClosedRange<Int> = Int.min...Int.max) throws -> Int? {
        try given(key) {
            let value = try file.int(key)
            guard range.contains(value) else {
                throw file.bad(
                    key, expected: "a whole number from \(range.lowerBound) to \(range.upperBound)", found: "\(value)")
            }
            return value
        }
    }

    /// - Parameters:
    ///   - above: the number must be larger.
    ///   - from: the number must be as large at least.
    func double(_ key: String, above: Double = -.infinity, from: Double = -.infinity) throws -> Double? {
        try given(key) {
            let value = try file.double(key)
            guard value > above, value >= from, abs(value) <= Double(Float.greatestFiniteMagnitude) else {
                let least = from.isFinite ? "a number of at least \(from)" : "a number"
                let bound = above.isFinite ? "a number above \(above)" : least
                throw file.bad(key, expected: bound + " that float32 can hold", found: "\(value)")
            }
            return value
        }
    }

    func float(_ key: String, above: Double = -.infinity, from: Double = -.infinity) throws -> Float? {
        try double(key, above: above, from: from).map { Float($0) }
    }

    func choice<Choice: RawRepresentable<String> & CaseIterable>(_ key: String, _ type: Choice.Type = Choice.self) throws
        -> Choice?
    {
        try string(key).map { text in
            guard let value = Choice(rawValue: text) else {
                throw bad(key, "one of \(Choice.allCases.map(\.rawValue).joined(separator: ", "))", text)
            }
            return value
        }
    }

    /// The objects of a list.
    func objects(_ key: String, keys: [String]) throws -> [Settings] {
        guard let json = self[key] else { return [] }
        guard let list = json.array else { throw bad(key, "a list of objects", json.typeName) }
        return try list.enumerated().map { try Settings($1, keys: keys, "\(file.file): \(key)[\($0)]") }
    }

    /// A list of finite numbers.
    func floats(_ key: String) throws -> [Float]? {
        try self[key].map { json in
            let numbers = json.array?.compactMap { $0.double.map { Float($0) } }.filter(\.isFinite)
            guard let numbers, numbers.count == json.array?.count else { throw bad(key, "a list of numbers", json.typeName) }
            return numbers
        }
    }

    /// Seeds: whole numbers from 0, each once.
    func seeds(_ key: String) throws -> [UInt64]? {
        try ints(key).map { seeds in
            guard !seeds.isEmpty, seeds.allSatisfy({ $0 >= 0 }), Set(seeds).count == seeds.count else {
                throw bad(key, "whole numbers from 0, each once", "\(seeds)")
            }
            return seeds.map { UInt64($0) }
        }
    }

    /// First and last time step.
    func timesteps(_ key: String) throws -> ClosedRange<Float>? {
        try floats(key).map { ends in
            guard ends.count == 2, ends[0] <= ends[1] else { throw bad(key, "the first and the last time step", "\(ends)") }
            return ends[0]...ends[1]
        }
    }

    func needed<Value>(_ key: String, _ value: Value?) throws -> Value {
        guard let value else { throw Refusal("\(file.file): \(key) is needed") }
        return value
    }

    func bad(_ key: String, _ expected: String, _ found: String) -> Refusal {
        Refusal(file.bad(key, expected: expected, found: found).description)
    }

    private func given<Value>(_ key: String, _ read: () throws -> Value) throws -> Value? {
        self[key] == nil ? nil : try Self.refusing(read)
    }

    private static func refusing<Value>(_ read: () throws -> Value) throws -> Value {
        do { return try read() } catch let failure as FileFailure { throw Refusal(failure.description) }
    }
}

/// The settings of what computations run on.
enum EngineSettings {
    static let keys = ["threads", "precision", "instruction_set"]
    /// Many more than any machine has cores; each takes a stack.
    private static let mostThreads = 4096

    private enum Choice: String, CaseIterable { case f32, bf16, auto }

    /// - Throws: a `Failure` for an instruction set or a precision that this CPU does not have.
    static func engine(_ settings: Settings) throws -> Engine {
        let instructionSet = try settings.string("instruction_set")
        let precision: Precision =
            switch try settings.choice("precision", Choice.self) ?? .f32 {
            case .f32: .float32
            case .bf16: .bfloat16
            case .auto: try InstructionSet.fastestPrecision(of: instructionSet)
            }
        return try Engine(
            instructionSet: instructionSet, threads: settings.int("threads", in: 1...mostThreads), precision: precision)
    }
}
