import Checkpoints
import Foundation
import Tensors
import Testing

/// A file of reference tensors among a test target's `Fixtures`. A missing file or tensor fails the test.
public struct Golden: Sendable {
    private let file: SafetensorsFile

    /// - Parameter name: path below `Fixtures`, with its extension.
    public init(_ name: String, in bundle: Bundle) throws {
        let url = try #require(bundle.resourceURL).appendingPathComponent("Fixtures/\(name)")
        try #require(FileManager.default.fileExists(atPath: url.path), "fixture \(name) is missing")
        file = try SafetensorsFile(path: url.path)
    }

    public var names: [String] { file.names }

    public func tensor(_ name: String) throws -> Tensor {
        let weight = try file.weight(name)
        return Tensor(weight.shape, weight.floats())
    }

    public func array(_ name: String) throws -> [Float] { try file.weight(name).floats() }
}
