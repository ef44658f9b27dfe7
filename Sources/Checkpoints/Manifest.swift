/// Every tensor of one component: what a checkpoint must hold, no less and no more.
public struct Manifest: Sendable {
    /// The name and shape that a tensor must have.
    public struct Tensor: Sendable, Equatable {
        /// The tensor's name.
        public let name: String
        /// Its extents.
        public let shape: [Int]
    }

    /// The tensors, in the order in which they were added.
    public private(set) var tensors: [Tensor] = []

    package init() {}

    /// Elements of all tensors together.
    public var parameterCount: Int { tensors.reduce(0) { $0 + $1.shape.reduce(1, *) } }

    /// Shapes by name.
    public var shapes: [String: [Int]] {
        Dictionary(uniqueKeysWithValues: tensors.map { ($0.name, $0.shape) })
    }

    package mutating func tensor(_ name: String, _ shape: [Int]) {
        tensors.append(Tensor(name: name, shape: shape))
    }
}
