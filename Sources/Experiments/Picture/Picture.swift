import Checkpoints
import Files
import Pictures
import StableDiffusion
import Tensors

/// A drawn picture with its latent, parameters and recordings.
public struct Picture: Sendable {
    /// The decoded pixels.
    public let bitmap: Bitmap
    /// `[1, 4, h, w]`
    public let latent: Tensor
    /// The parameters as web interfaces write them, from which the picture can be drawn again.
    public let text: String
    /// The recordings, `[T, C]` or `[T, N, C]`, each followed by its time steps `[T]`.
    public let activations: [(name: String, tensor: Tensor)]
    /// Layers of which no time step was in the recorded range.
    public let unrecorded: [String]

    /// Which files `write` makes beside the picture itself.
    public struct Extras: Sendable {
        /// Whether the latent is written.
        public var latent = false
        /// Whether recorded activations are written.
        public var activations = false

        /// Neither, unless it is asked for.
        public init(latent: Bool = false, activations: Bool = false) {
            (self.latent, self.activations) = (latent, activations)
        }

        /// The paths, from their common stem.
        public func paths(_ stem: String) -> [String] {
            [stem + ".png"] + (latent ? [stem + ".safetensors"] : [])
                + (activations ? [stem + ".activations.safetensors"] : [])
        }
    }

    /// Writes STEM.png with its parameters, and as wanted STEM.safetensors with `latent`, and
    /// STEM.activations.safetensors.
    ///
    /// - Throws: `FileFailure.exists` if there is one and `overwrite` is false, `.cannotWrite`.
    public func write(_ files: Extras = Extras(), stem: String, overwrite: Bool) throws {
        let parameters = PNGText(ParametersText.keyword, text)
        try PNG.write(bitmap, text: [parameters], to: stem + ".png", overwrite: overwrite)
        if files.latent {
            try SafetensorsWriter.write([("latent", latent)], to: stem + ".safetensors", overwrite: overwrite)
        }
        if files.activations, !activations.isEmpty {
            try SafetensorsWriter.write(activations, to: stem + ".activations.safetensors", overwrite: overwrite)
        }
    }
}
