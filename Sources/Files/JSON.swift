/// A JSON value. Whole numbers that fit are kept exactly; everything else numeric is a `Double`.
public indirect enum JSON: Sendable, Equatable {
    case null
    case bool(Bool)
    case integer(Int)
    case number(Double)
    case string(String)
    case array([JSON])
    case object(JSONObject)

    /// The shortest decimal that reads back as this float, rather than the digits of its widening.
    public static func float(_ value: Float) -> JSON {
        .number(Double(value.description) ?? Double(value))
    }

    /// The truth value; nil for any other type.
    public var bool: Bool? {
        if case .bool(let value) = self { value } else { nil }
    }

    /// The number if it is whole and exact.
    public var int: Int? {
        switch self {
        case .integer(let value): value
        case .number(let value): Int(exactly: value)
        default: nil
        }
    }

    /// The number; nil for any other type.
    public var double: Double? {
        switch self {
        case .integer(let value): Double(value)
        case .number(let value): value
        default: nil
        }
    }

    /// The string; nil for any other type.
    public var string: String? {
        if case .string(let value) = self { value } else { nil }
    }

    /// The elements; nil for any other type.
    public var array: [JSON]? {
        if case .array(let value) = self { value } else { nil }
    }

    /// The members; nil for any other type.
    public var object: JSONObject? {
        if case .object(let value) = self { value } else { nil }
    }

    /// Whether this is `null`.
    public var isNull: Bool { self == .null }

    /// The member of that name; nil also when this is not an object.
    public subscript(key: String) -> JSON? { object?[key] }

    /// What kind of value this is, for error messages.
    public var typeName: String {
        switch self {
        case .null: "null"
        case .bool: "a boolean"
        case .integer, .number: "a number"
        case .string: "a string"
        case .array: "an array"
        case .object: "an object"
        }
    }
}

/// Members in the order of the file, found by name in constant time. Names are unique.
public struct JSONObject: Sendable, Equatable, Sequence {
    /// The members' names, in their order.
    public private(set) var keys: [String] = []
    private var values: [String: JSON] = [:]

    /// An object without members.
    public init() {}

    /// How many members there are.
    public var count: Int { keys.count }

    /// Setting nil removes the member.
    public subscript(key: String) -> JSON? {
        get { values[key] }
        set {
            let old = values[key]
            values[key] = newValue
            if old == nil, newValue != nil { keys.append(key) }
            if old != nil, newValue == nil { keys.removeAll { $0 == key } }
        }
    }

    /// The members in their order.
    public func makeIterator() -> AnyIterator<(key: String, value: JSON)> {
        var next = 0
        return AnyIterator {
            guard next < keys.count, let value = values[keys[next]] else { return nil }
            next += 1
            return (keys[next - 1], value)
        }
    }

    /// Equal members; their order does not matter.
    public static func == (a: JSONObject, b: JSONObject) -> Bool { a.values == b.values }
}

/// There is no nil literal: `condition ? json : nil` would mean `.null` where an absent value is meant.
extension JSON: ExpressibleByBooleanLiteral, ExpressibleByIntegerLiteral,
    ExpressibleByFloatLiteral, ExpressibleByStringLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    /// `true` or `false`.
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    /// A whole number.
    public init(integerLiteral value: Int) { self = .integer(value) }
    /// A number.
    public init(floatLiteral value: Double) { self = .number(value) }
    /// A string.
    public init(stringLiteral value: String) { self = .string(value) }
    /// An array.
    public init(arrayLiteral elements: JSON...) { self = .array(elements) }

    /// An object.
    ///
    /// - Precondition: no name comes twice.
    public init(dictionaryLiteral elements: (String, JSON)...) {
        self.init(elements)
    }

    /// An object of these members, which must have different names.
    public init(_ members: some Sequence<(String, JSON)>) {
        var object = JSONObject()
        for (key, value) in members {
            precondition(object[key] == nil, "JSON object literal has \(key) twice")
            object[key] = value
        }
        self = .object(object)
    }
}
