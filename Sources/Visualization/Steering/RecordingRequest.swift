import Files
import Ops
import SparseAutoencoders
import StableDiffusion

/// A wish to keep activations as users write it: `LAYER[:features][:maps][@T0-T1]`.
///
/// `features` records the sparse autoencoder's (before selection) instead of the layer's channels, `maps` every
/// position instead of the average over positions.
public struct RecordingRequest: Sendable, Equatable {
    public let layer: String
    public let features: Bool
    public let form: ActivationRecorder.Form
    public let timesteps: ClosedRange<Float>?

    /// Throws `SimpleFailure(.usage)` that quotes the text and says what was expected.
    public init(parsing text: String) throws {
        let (plain, timesteps) = try TimestepRange.split(text[...])
        let parts = plain.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        let options = parts.dropFirst()
        guard let layer = parts.first, !layer.isEmpty, Set(options).count == options.count,
            options.allSatisfy({ ["features", "maps"].contains($0) })
        else { throw SimpleFailure(.usage, "'\(text)': expected LAYER[:features][:maps][@T0-T1]") }
        self.layer = layer
        features = options.contains("features")
        form = options.contains("maps") ? .maps : .means
        self.timesteps = timesteps
    }

    /// A recorder for one generation.
    ///
    /// - Parameter autoencoder: gives the sparse autoencoder of a layer; asked only for features.
    public func recorder(
        _ config: UNetConfig, half: GuidanceHalf = .conditional, engine: Engine,
        autoencoder: (HookPoint) throws -> SparseAutoencoder
    ) throws -> ActivationRecorder {
        let point = try config.hookPoint(layer)
        let range = timesteps
        let wanted = { (timestep: Float) in range?.contains(timestep) ?? true }
        guard features else { return ActivationRecorder(at: point, form: form, half: half, wanted: wanted) }
        let encoder = FeatureEncoder(try autoencoder(point), engine: engine)
        return ActivationRecorder(at: point, form: form, half: half, wanted: wanted, transform: encoder.preActivations)
    }

    /// What the recorded tensor is called in files: the layer, and what was recorded of it.
    public var name: String { layer + (features ? "/features" : "/channels") + (form == .maps ? "/maps" : "/means") }
}
