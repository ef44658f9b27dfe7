import Files
import StableDiffusion

/// A request for activations: the layers, and the pictures drawn meanwhile.
public struct CaptureRequest: Sendable {
    /// As `UNetConfig.hookPoint` names them, each once.
    public var layers: [String]
    /// Picture `index` is prompt `index mod prompts`; each further round through the prompts draws with new
    /// seeds.
    public var prompts: [Prompt]
    /// Size, steps, sampler and guidance; prompt and seed are replaced.
    public var parameters = GenerationParameters()
    /// Which of guidance's two samples is recorded.
    public var half = GuidanceHalf.conditional
    /// Of the pictures' seeds.
    public var seed = 0
    /// Pictures in all; nil: without end.
    public var limit: Int?

    /// Every prompt once at every layer, with the defaults of `GenerationParameters`.
    public init(layers: [String], prompts: [Prompt]) {
        (self.layers, self.prompts) = (layers, prompts)
    }

    /// - Throws: `SimpleFailure(.usage)` if there is nothing to record.
    func check() throws {
        func expect(_ condition: Bool, _ message: String) throws {
            if !condition { throw SimpleFailure(.usage, message) }
        }
        try expect(!layers.isEmpty, "no layers to record")
        try expect(Set(layers).count == layers.count, "the same layer twice: \(layers.joined(separator: ", "))")
        try expect(!prompts.isEmpty, "no prompts to draw pictures of")
        try expect(limit ?? 1 > 0, "\(limit ?? 0) pictures: expected at least 1")
        try expect(
            parameters.isGuided || half == .conditional,
            "guidance scale \(parameters.guidanceScale): without guidance there is only the conditional half")
    }
}
