import Checkpoints
import Files
import Ops
import Tensors

/// Where layers get their tensors: from a checkpoint and a file of packed filters; or, where layers are only described or
/// their filters only written, placeholders.
final class TensorSource {
    private let weights: WeightStore?
    private let packed: PackedNetwork?
    private let writer: PackedFileWriter?
    private(set) var manifest = Manifest()
    private(set) var failure: (any Error)?

    init(_ weights: WeightStore?, _ packed: PackedNetwork? = nil, writer: PackedFileWriter? = nil) {
        (self.weights, self.packed, self.writer) = (weights, packed, writer)
    }

    /// Whether what was handed out so far is the checkpoint's.
    var isWhole: Bool { weights != nil && writer == nil && failure == nil }

    func take(_ name: String, _ shape: [Int]) -> Weight {
        if weights == nil { manifest.tensor(name, shape) }
        guard isWhole else { return placeholder(name, shape) }
        return read(name, shape) ?? placeholder(name, shape)
    }

    /// A filter as it was packed before, or else packed now.
    func filter(_ name: String, _ shape: [Int], _ engine: Engine) -> PackedFilter {
        if isWhole, let filter = packed?.filter(name, shape, engine) { return filter }
        if writer != nil, failure == nil { write(name, shape, engine) }
        return PackedFilter(weight: take(name, shape), engine: engine)
    }

    private func read(_ name: String, _ shape: [Int]) -> Weight? {
        do {
            return try weights?.take(name, shape: shape)
        } catch {
            failure = error
            return nil
        }
    }

    private func write(_ name: String, _ shape: [Int], _ engine: Engine) {
        guard let weight = read(name, shape) else { return }
        let filter = PackedFilter(weight: weight, engine: engine)
        do {
            try withExtendedLifetime(filter) { try writer?.add(name, filter.panels, parallel: engine.parallel) }
        } catch {
            failure = error
        }
    }

    private let zeros = Tensor.zeros([9])

    /// One input, one output, kernels as they are: layers can be made of it at no cost, whatever their real size.
    func placeholder(_ name: String, _ shape: [Int]) -> Weight {
        let kernel = shape.dropFirst(2).reduce(1, *)
        return Weight(
            name: name, shape: shape.prefix(2).map { _ in 1 } + shape.dropFirst(2), dtype: .f32,
            bytes: UnsafeRawBufferPointer(start: zeros.pointer, count: 4 * kernel), owner: zeros.storage)
    }
}
