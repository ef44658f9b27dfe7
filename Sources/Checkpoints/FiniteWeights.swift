import Files
import Tensors

extension Weight {
    /// - Throws: `FileFailure.unsupported` naming file and tensor if an element is NaN or infinite.
    package func checkFinite(file: String) throws(FileFailure) {
        guard let (index, value) = firstNotFinite else { return }
        throw .unsupported(
            file: file, found: "tensor \(name) holds \(value) (element \(index))",
            advice: "a model with such a number gives no picture; get the file again")
    }
}
