import Foundation
import Testing

enum Fixtures {
    /// The path of a fixture; its absence fails the test.
    static func path(_ name: String) throws -> String {
        let url = try #require(Bundle.module.resourceURL).appendingPathComponent("Fixtures/\(name)")
        try #require(FileManager.default.fileExists(atPath: url.path), "fixture \(name) is missing")
        return url.path
    }
}
