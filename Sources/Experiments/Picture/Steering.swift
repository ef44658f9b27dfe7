import Files
import SparseAutoencoders
import StableDiffusion
import Visualization

/// An edit of a layer's activations in every U-Net call of a picture, in both halves of guidance.
public struct Steering: Sendable {
    /// The hook point's name.
    public let layer: String
    /// The channel, the feature or the direction that is edited.
    public let readout: Readout
    /// Channels and directions can be added only.
    public let edit: FeatureEdit
    /// Both ends included; nil: every time step.
    public let timesteps: ClosedRange<Float>?
    /// Its name in a picture's parameters.
    public let text: String

    /// Whether the layer has that channel or feature is checked by `hook`, which knows the model.
    public init(
        layer: String, readout: Readout, edit: FeatureEdit, timesteps: ClosedRange<Float>? = nil, text: String = ""
    ) {
        (self.layer, self.readout, self.edit) = (layer, readout, edit)
        (self.timesteps, self.text) = (timesteps, text)
    }

    /// The hook that makes the edit.
    ///
    /// - Throws: `SimpleFailure(.usage)` for a layer, channel or feature there is none of, a direction or an
    ///   autoencoder of another width, or an edit that applies to features only.
    public func hook(_ session: ModelSession) throws -> GenerationHook {
        let point = try session.hook(layer)
        try Objective([.init(readout)]).check(width: point.channels, layer: point.name)
        switch readout {
        case .feature(let feature, let autoencoder):
            return GenerationHook(at: point) { [engine = session.engine] pass, activation in
                guard applies(at: pass.timestep) else { return nil }
                return autoencoder.edited(activation, feature: feature, edit, engine: engine)
            }
        case .channel(let channel): return .adding(channel: channel, at: point, strength: try strength())
        case .direction(let vector, _, _): return .adding(vector.array, at: point, strength: try strength())
        }
    }

    private func applies(at timestep: Float) -> Bool { timesteps?.contains(timestep) ?? true }

    private func strength() throws -> (Float) -> Float {
        guard case .add(let amount) = edit else {
            throw SimpleFailure(.usage, "\(text): only an autoencoder's features can be clamped and scaled")
        }
        return { applies(at: $0) ? amount : 0 }
    }
}

/// Activations to keep while a picture is drawn, at the conditional half of guidance.
public struct Recording: Sendable, Equatable {
    /// The hook point's name.
    public let layer: String
    /// The layer's channels, or all features of its sparse autoencoder before selection.
    public let space: Space
    /// Averages over positions, or every position.
    public let form: ActivationRecorder.Form
    /// Both ends included; nil: every time step.
    public let timesteps: ClosedRange<Float>?

    /// The layer's mean channels at every time step, unless told otherwise.
    public init(
        layer: String, space: Space = .channels, form: ActivationRecorder.Form = .means,
        timesteps: ClosedRange<Float>? = nil
    ) {
        (self.layer, self.space, self.form, self.timesteps) = (layer, space, form, timesteps)
    }

    /// The recorded tensor's name in files: the layer, the space and the form.
    public var name: String { "\(layer)/\(space.rawValue)/\(form.rawValue)" }

    /// A recorder for one picture.
    ///
    /// - Throws: `SimpleFailure(.usage)` for a layer there is none of, and as `ModelSession.encoder` for
    ///   features.
    public func recorder(
        _ session: ModelSession, half: GuidanceHalf = .conditional
    ) throws -> ActivationRecorder {
        let point = try session.hook(layer)
        let wanted = { (timestep: Float) in timesteps?.contains(timestep) ?? true }
        guard space == .features else { return ActivationRecorder(at: point, form: form, half: half, wanted: wanted) }
        let encoder = try session.encoder(layer)
        return ActivationRecorder(at: point, form: form, half: half, wanted: wanted, transform: encoder.preActivations)
    }
}
