import Files
import Tensors

/// The weights of a model that exists by definition: each element is a hash of the tensor's name and the element's
/// index, scaled like an initialization. Any program that follows the rule gets the same numbers, so full-size
/// reference values need no weights file.
///
///     h = FNV-1a-64(salt + name);  z = splitmix64's output for state h + (i+1)·9E3779B97F4A7C15
///     u = (z >> 40) / 2²⁴;         v = (2u − 1)·√3, of unit variance
///     embeddings 0.02·v;  two dimensions or more v/√(fan-in);
///     vectors whose name ends in ".weight" 1 + 0.1·v;  others 0.05·v
///
/// computed in double precision and rounded to float32 at the end.
public struct SyntheticWeights: Sendable {
    /// The tensor's extents.
    public let shape: [Int]
    private let hash: UInt64
    private let offset: Double
    private let scale: Double

    /// - Parameters:
    ///   - name: tells the values, with `shape`'s fan-in and `salt`.
    ///   - salt: another one gives other values under the same name.
    public init(name: String, shape: [Int], salt: String = "") {
        self.shape = shape
        hash = Text.fnv1a((salt + name).utf8)
        if name.contains("embedding.weight"), !name.contains("time_embedding") {
            (offset, scale) = (0, 0.02)
        } else if shape.count >= 2 {
            (offset, scale) = (0, 1 / Double(shape.dropFirst().reduce(1, *)).squareRoot())
        } else if name.hasSuffix(".weight") {
            (offset, scale) = (1, 0.1)
        } else {
            (offset, scale) = (0, 0.05)
        }
    }

    /// Element `index` in row-major order.
    @inline(__always)
    public func element(_ index: Int) -> Float {
        var z = hash &+ UInt64(truncatingIfNeeded: index &+ 1) &* 0x9E37_79B9_7F4A_7C15
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        z = z ^ (z >> 31)
        let uniform = Double(z >> 40) * 0x1p-24
        let unit = (2 * uniform - 1) * 3.0.squareRoot()
        return Float(offset + scale * unit)
    }

    /// Writes elements `range` at `target`, which holds `range.count` floats.
    public func fill(_ range: Range<Int>, into target: UnsafeMutablePointer<Float>) {
        for i in 0..<range.count { target[i] = element(range.lowerBound + i) }
    }

    /// Writes elements `range`, rounded to half precision, at `target`.
    public func fillHalf(_ range: Range<Int>, into target: UnsafeMutablePointer<UInt16>) {
        for i in 0..<range.count { target[i] = FloatCoding.half(element(range.lowerBound + i)) }
    }

    /// All values, as a tensor of `shape`.
    public func tensor() -> Tensor {
        let tensor = Tensor(shape)
        fill(0..<tensor.count, into: tensor.pointer)
        return tensor
    }

    /// All tensors of a manifest, in memory: for small models.
    public static func store(
        _ manifest: Manifest, salt: String = "", naming: (any TensorNaming)? = nil
    ) throws(FileFailure) -> WeightStore {
        let weights = manifest.tensors.map {
            Weight(name: $0.name, tensor: SyntheticWeights(name: $0.name, shape: $0.shape, salt: salt).tensor())
        }
        return try WeightStore(file: "synthetic weights", weights: weights, naming: naming)
    }
}
