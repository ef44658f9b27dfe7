import Checkpoints
import Files
import Ops
import SparseAutoencoders
import StableDiffusion

/// A steering edit as users write it: `LAYER:TARGET:EDIT[@T0-T1]`.
///
/// TARGET is `channel=J`, `feature=J` (of the layer's sparse autoencoder) or `vector=FILE` (a safetensors file with one
/// tensor, or one called `vector`, as wide as the layer). EDIT is a strength to add, `12.5`; for features also
/// `clamp=V`, `scale=F` and `ablate`. T0-T1 are time steps, both included; without them every step.
public struct SteeringRequest: Sendable, Equatable {
    public enum Target: Sendable, Equatable {
        case channel(Int)
        case feature(Int)
        case vector(file: String)
    }

    public let layer: String
    public let target: Target
    public let edit: FeatureEdit
    public let timesteps: ClosedRange<Float>?

    public init(layer: String, target: Target, edit: FeatureEdit, timesteps: ClosedRange<Float>? = nil) {
        self.layer = layer
        self.target = target
        self.edit = edit
        self.timesteps = timesteps
    }

    /// Throws `SimpleFailure(.usage)` that quotes the text and says what was expected.
    public init(parsing text: String) throws {
        func fail(_ problem: String) -> SimpleFailure {
            SimpleFailure(
                .usage,
                "'\(text)': \(problem); expected LAYER:(channel=J|feature=J|vector=FILE):STRENGTH[@T0-T1], "
                    + "for features also clamp=V, scale=F or ablate in place of STRENGTH")
        }
        guard let first = text.firstIndex(of: ":"), let last = text.lastIndex(of: ":"), first < last else {
            throw fail("two colons are needed")
        }
        let (edit, timesteps) = try TimestepRange.split(text[text.index(after: last)...])
        let target = text[text.index(after: first)..<last].split(separator: "=", maxSplits: 1).map(String.init)
        guard target.count == 2 else { throw fail("no target") }
        switch (target[0], Int(target[1])) {
        case ("channel", let index?) where index >= 0: self.target = .channel(index)
        case ("feature", let index?) where index >= 0: self.target = .feature(index)
        case ("vector", _): self.target = .vector(file: target[1])
        default: throw fail("unknown target '\(target.joined(separator: "="))'")
        }
        guard let parsed = Self.edit(edit) else { throw fail("unknown edit '\(edit)'") }
        if case .add = parsed {} else if case .feature = self.target {} else { throw fail("'\(edit)' needs a feature") }
        layer = String(text[..<first])
        self.edit = parsed
        self.timesteps = timesteps
    }

    private static func edit(_ text: String) -> FeatureEdit? {
        if text == "ablate" { return .scale(0) }
        let parts = text.split(separator: "=", maxSplits: 1).map(String.init)
        guard let value = parts.last.flatMap(Float.init), value.isFinite else { return nil }
        switch (parts.count, parts[0]) {
        case (1, _): return .add(value)
        case (2, "clamp"): return .clamp(value)
        case (2, "scale"): return .scale(value)
        default: return nil
        }
    }

    /// The hook that does it.
    ///
    /// - Parameter autoencoder: gives the sparse autoencoder of a layer; asked only for features.
    /// Throws `SimpleFailure(.usage)` for an unknown layer or an index out of range, `.badData` for a vector of another
    /// width, and whatever `autoencoder` throws.
    public func hook(
        _ config: UNetConfig, engine: Engine, autoencoder: (HookPoint) throws -> SparseAutoencoder
    ) throws -> GenerationHook {
        let point = try config.hookPoint(layer)
        let range = timesteps
        let applies = { @Sendable (timestep: Float) in range?.contains(timestep) ?? true }
        var strength: Float = 0
        if case .add(let value) = edit { strength = value }
        let amount = strength
        switch target {
        case .channel(let channel):
            try check(channel, below: point.channels, "channel", of: point.name)
            return .adding(channel: channel, at: point) { applies($0) ? amount : 0 }
        case .vector(let file):
            return .adding(try Self.vector(file, width: point.channels), at: point) { applies($0) ? amount : 0 }
        case .feature(let feature):
            let autoencoder = try autoencoder(point)
            try check(feature, below: autoencoder.numLatents, "feature", of: point.name)
            return .editing(feature: feature, of: autoencoder, edit, at: point, engine: engine, applies: applies)
        }
    }

    private func check(_ index: Int, below count: Int, _ what: String, of layer: String) throws {
        guard index < count else { throw SimpleFailure(.usage, "\(layer) has no \(what) \(index): 0 to \(count - 1)") }
    }

    private static func vector(_ path: String, width: Int) throws -> [Float] {
        let file = try SafetensorsFile(path: path)
        let name = file.names.count == 1 ? file.names[0] : "vector"
        let weight = try file.weight(name)
        guard weight.count == width else {
            throw SimpleFailure(.badData, "\(path): \(name) has \(weight.count) numbers, the layer \(width) channels")
        }
        return weight.floats()
    }
}

/// `…@T0-T1`, as steering and recording requests end.
enum TimestepRange {
    /// Splits off the range; `@T` means one time step, and either end may come first.
    static func split(_ text: Substring) throws -> (rest: String, timesteps: ClosedRange<Float>?) {
        guard let mark = text.lastIndex(of: "@") else { return (String(text), nil) }
        let ends = text[text.index(after: mark)...].split(separator: "-", omittingEmptySubsequences: false)
        let values = ends.compactMap { Float($0) }
        guard values.count == ends.count, (1...2).contains(values.count), values.allSatisfy(\.isFinite) else {
            throw SimpleFailure(.usage, "'\(text)': expected time steps after @ as T or T0-T1, such as @0-500")
        }
        let (first, last) = (values[0], values[values.count - 1])
        return (String(text[..<mark]), min(first, last)...max(first, last))
    }
}
