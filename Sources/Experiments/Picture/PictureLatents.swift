import Files
import Pictures
import StableDiffusion
import Tensors

/// Latents of pictures that lie in files, to start dreams from or to look at with a probe.
public enum PictureLatents {
    /// The latents `[B, 4, h, w]` of pictures, as the U-Net has them: the mean that the encoder gives, times the model's
    /// scaling factor.
    ///
    /// - Parameter paths: PNG, JPEG or WebP files, at least one.
    /// - Precondition: `paths` is not empty.
    /// - Throws: a `Failure` for a file that cannot be read; `SimpleFailure(.badData)` unless all have one size, a multiple
    ///   of the VAE's pixel factor.
    public static func encode(_ paths: [String], _ session: ModelSession) throws -> Tensor {
        precondition(!paths.isEmpty, "no pictures")
        let factor = try session.folder.pixelFactor()
        let bitmaps = try paths.map { try PictureFile.read($0) }
        let (width, height) = (bitmaps[0].width, bitmaps[0].height)
        for (path, bitmap) in zip(paths, bitmaps) {
            guard bitmap.width == width, bitmap.height == height, width % factor == 0, height % factor == 0 else {
                throw SimpleFailure(
                    .badData,
                    "\(path): \(bitmap.width)×\(bitmap.height) pixels; expected multiples of \(factor),"
                        + " the same for all pictures")
            }
        }
        let encoder = try session.loadable().loadVAEEncoder(engine: session.engine)
        let latents = try bitmaps.map { try encoder.encode($0.tensor()).latent() }
        return Tensor([latents.count] + latents[0].shape[1...], latents.flatMap(\.array))
    }
}
