import CLVO
import Experiments
import Files
import SparseAutoencoders
import Tensors
import Visualization

/// The autoencoders that a call was given, and those of its model.
struct GivenAutoencoders {
    private let given: [(autoencoder: SparseAutoencoder, path: String?)]
    private let session: ModelSession

    /// - Throws: `Refusal` for NULL and for closed ones.
    init(_ handles: UnsafePointer<OpaquePointer?>?, _ count: Int32, _ session: ModelSession) throws {
        guard (0...4096).contains(count), count == 0 || handles != nil else {
            throw Refusal("saes: expected 0 to 4096 handles, found \(count) or NULL")
        }
        given = try (0..<Int(count)).map { index in
            try AutoencoderBox.of(handles?[index], "saes[\(index)]").take { sae, _ in (sae.autoencoder, sae.path) }
        }
        self.session = session
    }

    /// The autoencoder of a layer's feature.
    func autoencoder(_ settings: Settings, layer: String) throws -> SparseAutoencoder {
        guard let index = try settings.int("sae") else { return try session.autoencoder(layer) }
        guard given.indices.contains(index) else {
            throw settings.bad("sae", "an index into the \(given.count) autoencoders that were given", "\(index)")
        }
        return given[index].autoencoder
    }

    /// Where the first was read from.
    var path: String? { given.first?.path }
}

extension Readout {
    static let keys = ["channel", "feature", "direction", "sae"]

    /// A channel, a feature or a direction.
    ///
    /// - Parameter name: of a direction, for records.
    init(_ settings: Settings, layer: String, name: String = "given", _ autoencoders: GivenAutoencoders) throws {
        let vector = try settings.floats("direction")
        switch (try settings.int("channel"), try settings.int("feature"), vector) {
        case (let channel?, nil, nil): self = .channel(channel)
        case (nil, let feature?, nil): self = .feature(feature, try autoencoders.autoencoder(settings, layer: layer))
        case (nil, nil, let vector?) where !vector.isEmpty: self = .direction(Tensor([vector.count], vector), name: name)
        default: throw settings.bad("channel, feature, direction", "one of the three", "none, or several")
        }
        if case .feature = self { return }
        if settings["sae"] != nil { throw settings.bad("sae", "no such key beside a channel or a direction", "it") }
    }
}

extension Steering {
    static let keys = ["layer", "edit", "strength", "timesteps"] + Readout.keys

    private enum Edit: String, CaseIterable { case add, clamp, scale, ablate }

    init(_ settings: Settings, _ autoencoders: GivenAutoencoders) throws {
        let layer = try settings.needed("layer", settings.string("layer"))
        let readout = try Readout(settings, layer: layer, autoencoders)
        let kind = try settings.choice("edit", Edit.self) ?? .add
        let given = try settings.float("strength")
        if kind == .ablate, given != nil { throw settings.bad("strength", "no such key with the edit ablate", "it") }
        let strength = kind == .ablate ? 0 : try settings.needed("strength", given)
        let edit: FeatureEdit
        switch kind {
        case .add: edit = .add(strength)
        case .clamp: edit = .clamp(strength)
        case .scale, .ablate: edit = .scale(strength)
        }
        let timesteps = try settings.timesteps("timesteps")
        self.init(
            layer: layer, readout: readout, edit: edit, timesteps: timesteps,
            text: Self.text(layer, readout, kind.rawValue, strength, timesteps))
    }

    /// As the command line has it.
    private static func text(
        _ layer: String, _ readout: Readout, _ edit: String, _ strength: Float, _ timesteps: ClosedRange<Float>?
    ) -> String {
        let target =
            switch readout {
            case .channel(let index): "channel=\(index)"
            case .feature(let index, _): "feature=\(index)"
            case .direction(_, let name, _): "vector=\(name)"
            }
        let change = edit == "add" ? "\(strength)" : edit == "ablate" ? edit : "\(edit)=\(strength)"
        return "\(layer):\(target):\(change)" + (timesteps.map { "@\($0.lowerBound)-\($0.upperBound)" } ?? "")
    }
}
