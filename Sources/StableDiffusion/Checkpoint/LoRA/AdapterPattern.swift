import Files
import Foundation

/// A member of PEFT's `rank_pattern` or `alpha_pattern`: a number of its own for the layers whose names match.
struct AdapterPattern {
    let value: Double
    private let expression: NSRegularExpression

    private let key: String
    private let file: ConfigFile

    /// Steps of a match, in tens of thousands, after which a pattern is refused. Names of layers take fewer than one;
    /// `(a+)+b` takes 2ⁿ for n letters.
    private static let patience = 20

    /// PEFT's rule (`get_pattern_key`): the key is a regular expression for the whole name, or for what follows one of
    /// its dots.
    ///
    /// - Throws: `FileFailure.badKey` for an expression that would take for ever.
    func matches(_ module: String) throws(FileFailure) -> Bool {
        let whole = NSRange(location: 0, length: module.utf16.count)
        var (matches, progress) = (false, 0)
        expression.enumerateMatches(in: module, options: [.anchored, .reportProgress], range: whole) { match, flags, stop in
            matches = match != nil
            if flags.contains(.internalError) { progress = Self.patience }
            if flags.contains(.progress) { progress += 1 }
            if matches || progress >= Self.patience { stop.pointee = true }
        }
        guard matches || progress < Self.patience else {
            throw file.bad(
                key, expected: "a regular expression without repetitions of repetitions",
                found: "'\(expression.pattern.prefix(60))', too slow for \(module)")
        }
        return matches
    }

    /// In the order of the file: the first that matches is it.
    /// - Throws: `FileFailure.badKey` for what is no regular expression, or no positive number (an alpha: no number).
    static func all(_ key: String, _ file: ConfigFile) throws(FileFailure) -> [AdapterPattern] {
        guard let member = file.json[key], !member.isNull else { return [] }
        guard let object = member.object else {
            throw file.bad(key, expected: "an object of layer: number", found: member.typeName)
        }
        var patterns: [AdapterPattern] = []
        for (name, value) in object {
            guard name.utf8.count <= 1000, let expression = try? NSRegularExpression(pattern: "(.*\\.)?(\(name))$") else {
                throw file.bad(key, expected: "a layer's name or a regular expression", found: "'\(name.prefix(60))'")
            }
            guard let number = value.double, number.isFinite, key == "alpha_pattern" || number >= 1 else {
                throw file.bad("\(key).\(name)", expected: "a positive number", found: value.serialized())
            }
            patterns.append(AdapterPattern(value: number, expression: expression, key: key, file: file))
        }
        return patterns
    }
}
