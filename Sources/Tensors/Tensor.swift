/// A dense row-major array of `Float` with a shape.
///
/// Activations are channels last, `[B, H, W, C]` or `[B, N, C]`: rows of tokens, so that 1×1 convolutions, linear
/// layers, attention and sparse autoencoders are all products over the last axis and nothing is transposed on the
/// way. Latents in files are `[B, 4, H, W]` (the ecosystem's layout) and are converted once at the edge.
///
/// A tensor is a reference: copies share storage. Operations write only into tensors that they made themselves.
public struct Tensor: Sendable {
    /// Extents, row-major: the last axis is contiguous.
    public let shape: [Int]
    /// The memory that the elements lie in; slices and reshapes share it.
    public let storage: Storage
    /// First element, in floats from the start of the storage.
    public let offset: Int

    /// A tensor over existing storage, from its float `offset` on.
    ///
    /// - Precondition: the storage is large enough.
    public init(shape: [Int], storage: Storage, offset: Int = 0) {
        self.shape = shape
        self.storage = storage
        self.offset = offset
        precondition(
            offset + count <= storage.capacity, "tensor \(shape) at \(offset) exceeds storage of \(storage.capacity)")
    }

    /// A tensor of undefined contents with storage from `workspace`, or of its own if none is given.
    public init(_ shape: [Int], in workspace: Workspace? = nil) {
        let count = shape.reduce(1, *)
        let storage =
            workspace?.take(count)
            ?? Storage(pointer: Storage.allocate(count), capacity: max(count, 16), workspace: nil)
        self.init(shape: shape, storage: storage)
    }

    /// A tensor of these values.
    ///
    /// - Precondition: there are as many as the shape says.
    public init(_ shape: [Int], _ values: [Float]) {
        precondition(shape.reduce(1, *) == values.count, "shape \(shape) does not hold \(values.count) values")
        self.init(shape)
        values.withUnsafeBufferPointer { pointer.update(from: $0.baseAddress!, count: values.count) }
    }

    /// A tensor of zeros, in storage of its own or from `workspace`.
    public static func zeros(_ shape: [Int], in workspace: Workspace? = nil) -> Tensor {
        let tensor = Tensor(shape, in: workspace)
        tensor.pointer.update(repeating: 0, count: tensor.count)
        return tensor
    }

    /// Elements.
    public var count: Int { shape.reduce(1, *) }

    /// The first element. Valid while the tensor (or another that shares its storage) lives.
    public var pointer: UnsafeMutablePointer<Float> { storage.pointer + offset }

    /// A copy of the elements, row-major.
    public var array: [Float] { Array(UnsafeBufferPointer(start: pointer, count: count)) }

    /// Width of the last axis.
    public var channels: Int { shape.last ?? 1 }

    /// Product of all axes but the last.
    public var rows: Int { shape.dropLast().reduce(1, *) }

    /// The same elements under another shape of equal count.
    public func reshaped(_ newShape: [Int]) -> Tensor {
        precondition(newShape.reduce(1, *) == count, "cannot reshape \(shape) to \(newShape)")
        return Tensor(shape: newShape, storage: storage, offset: offset)
    }

    /// Elements `range` of the first axis, sharing storage.
    public func slice(_ range: Range<Int>) -> Tensor {
        precondition(range.lowerBound >= 0 && range.upperBound <= shape[0], "slice \(range) of \(shape)")
        let stride = shape.dropFirst().reduce(1, *)
        return Tensor(
            shape: [range.count] + shape.dropFirst(), storage: storage, offset: offset + range.lowerBound * stride)
    }

    /// A copy in storage of its own, or from `workspace`.
    public func copy(in workspace: Workspace? = nil) -> Tensor {
        let result = Tensor(shape, in: workspace)
        result.pointer.update(from: pointer, count: count)
        return result
    }
}
