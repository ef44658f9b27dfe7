import Tensors

/// What a model calls the tensors that files call otherwise.
public protocol TensorNaming: Sendable {
    /// The tensor under the model's own name and, with as many elements, shape.
    func normalized(_ weight: Weight) -> Weight

    /// Whether a tensor of this (normalized) name occurs in files without being part of the model.
    func isLeftover(_ name: String) -> Bool
}
