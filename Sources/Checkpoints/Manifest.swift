/// Every tensor of one component: what a checkpoint must hold, no less and no more.
public struct Manifest: Sendable {
    /// A tensor that must be there.
    public struct Tensor: Sendable, Equatable {
        /// Full name as in the checkpoint.
        public let name: String
        /// Sizes, the outermost first.
        public let shape: [Int]
    }

    /// In the order in which a model's layers ask for them.
    public private(set) var tensors: [Tensor] = []

    package init() {}

    /// Numbers in all tensors together.
    public var parameterCount: Int { tensors.reduce(0) { $0 + $1.shape.reduce(1, *) } }

    /// Shapes by name.
    public var shapes: [String: [Int]] {
        Dictionary(uniqueKeysWithValues: tensors.map { ($0.name, $0.shape) })
    }

    package mutating func tensor(_ name: String, _ shape: [Int]) {
        tensors.append(Tensor(name: name, shape: shape))
    }
}
