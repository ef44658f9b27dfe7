import Files
import Tensors

extension Weight {
    /// - Throws: `FileFailure.unsupported` naming file and tensor if an element is NaN or infinite.
    package func checkFinite(file: String) throws(FileFailure) {
        guard let (index, value) = firstNotFinite else { return }
        throw .unsupported(
            file: file, found: "tensor \(name) holds \(value) (element \(index))",
            advice: "nothing can be computed with such a number; get the file again")
    }
}
