/// The meaning of an index at a layer.
public enum Space: String, Sendable, CaseIterable, Hashable {
    /// Features of the layer's sparse autoencoder.
    case features
    /// The layer's own channels.
    case channels
}
