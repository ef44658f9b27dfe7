// Twins of the products: linear layers and convolutions, forward and to the input.
import RealModule

/// The sizes of a convolution `[B, height, width, inputs]` → `[B, outHeight, outWidth, outputs]`: square filters of
/// `size`, zero padding of `before` rows and columns ahead and `after` at the end.
public struct ReferenceConvolution: Sendable {
    /// Number of samples, size of the input map, channels, side of the filter, step, padding at both ends.
    public var batch, height, width, inputs, outputs, size, stride, before, after: Int

    /// Sizes as the members are called.
    public init(
        batch: Int, height: Int, width: Int, inputs: Int, outputs: Int, size: Int, stride: Int, before: Int, after: Int
    ) {
        self.batch = batch
        self.height = height
        self.width = width
        self.inputs = inputs
        self.outputs = outputs
        self.size = size
        self.stride = stride
        self.before = before
        self.after = after
    }

    /// Rows of the output map.
    public var outHeight: Int { (height + before + after - size) / stride + 1 }
    /// Columns of the output map.
    public var outWidth: Int { (width + before + after - size) / stride + 1 }

    /// Calls `body` with the flat indices (of x, the weight `[O, I, R, S]`, y) of every product in the sum.
    func forEachProduct(_ body: (_ x: Int, _ weight: Int, _ y: Int) -> Void) {
        for b in 0..<batch {
            for h in 0..<outHeight {
                for w in 0..<outWidth {
                    for r in 0..<size {
                        for s in 0..<size {
                            let (i, j) = (h * stride + r - before, w * stride + s - before)
                            guard i >= 0, i < height, j >= 0, j < width else { continue }
                            let x = ((b * height + i) * width + j) * inputs
                            let y = ((b * outHeight + h) * outWidth + w) * outputs
                            forEachChannel { c, o in body(x + c, ((o * inputs + c) * size + r) * size + s, y + o) }
                        }
                    }
                }
            }
        }
    }

    private func forEachChannel(_ body: (_ input: Int, _ output: Int) -> Void) {
        for o in 0..<outputs { for c in 0..<inputs { body(c, o) } }
    }
}

extension Reference {
    /// `y = x·Wᵀ + b`: x `[rows, inputs]`, W `[outputs, inputs]`.
    public static func linear<T: ReferenceScalar>(_ x: [T], weight: [T], bias: [T]?, inputs: Int) -> [T] {
        let filters = rows(weight, inputs)
        return rows(x, inputs).flatMap { row in
            filters.indices.map { dot(row, filters[$0]) + (bias?[$0] ?? T.real(0)) }
        }
    }

    /// `y[b, h, w, o] = bias[o] + Σ x[b, h·stride + r − before, w·stride + s − before, i]·W[o, i, r, s]`.
    public static func convolution<T: ReferenceScalar>(
        _ x: [T], weight: [T], bias: [T]?, _ sizes: ReferenceConvolution
    ) -> [T] {
        let count = sizes.batch * sizes.outHeight * sizes.outWidth * sizes.outputs
        var y = (0..<count).map { bias?[$0 % sizes.outputs] ?? T.real(0) }
        sizes.forEachProduct { y[$2] += x[$0] * weight[$1] }
        return y
    }

    /// The gradient of `convolution` at x.
    public static func convolutionBackward<T: ReferenceScalar>(
        _ dy: [T], weight: [T], _ sizes: ReferenceConvolution
    ) -> [T] {
        var dx: [T] = zeros(sizes.batch * sizes.height * sizes.width * sizes.inputs)
        sizes.forEachProduct { dx[$0] += dy[$2] * weight[$1] }
        return dx
    }
}
