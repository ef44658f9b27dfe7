import Checkpoints
import Files
import Tensors

/// Tensors from files that people name.
package enum TensorFile {
    /// The tensor called `name`, or the only one in the file.
    ///
    /// - Throws: a `Failure` if there is none, or it is of a kind that is not read, or holds NaN or infinity.
    package static func read(_ path: String, name: String) throws -> Tensor {
        let file = try SafetensorsFile(path: path)
        guard file.names.contains(name) || file.names.count == 1 else {
            throw SimpleFailure(
                .badData,
                "\(path): holds \(file.names.count) tensors and none is called '\(name)'; name it so or leave it alone")
        }
        let weight = try file.weight(file.names.contains(name) ? name : file.names[0])
        if let defect = weight.defect {
            throw FileFailure.unsupported(
                file: path, found: "tensor \(weight.name) \(defect)", advice: "save it as float16 or float32")
        }
        try weight.checkFinite(file: path)
        return Tensor(weight.shape, weight.floats())
    }

    /// Latents `[B, C, h, w]`; one without the batch axis is accepted.
    package static func latent(_ path: String, channels: Int) throws -> Tensor {
        let tensor = try read(path, name: "latent")
        let shape = tensor.shape.count == 3 ? [1] + tensor.shape : tensor.shape
        guard shape.count == 4, shape[1] == channels, tensor.count > 0 else {
            throw SimpleFailure(
                .badData, "\(path): latent has shape \(tensor.shape), expected [B, \(channels), h, w]")
        }
        return tensor.reshaped(shape)
    }
}
