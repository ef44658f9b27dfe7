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

    /// Scale and shift of a normalization.
    package mutating func norm(_ name: String, _ width: Int) {
        tensor(name + ".weight", [width])
        tensor(name + ".bias", [width])
    }

    package mutating func linear(_ name: String, _ input: Int, _ output: Int, bias: Bool = true) {
        tensor(name + ".weight", [output, input])
        if bias { tensor(name + ".bias", [output]) }
    }

    package mutating func convolution(_ name: String, _ input: Int, _ output: Int, kernel: Int) {
        tensor(name + ".weight", [output, input, kernel, kernel])
        tensor(name + ".bias", [output])
    }

    /// ResnetBlock2D; the VAE's have no time embedding.
    package mutating func resnet(_ name: String, _ input: Int, _ output: Int, timeWidth: Int? = nil) {
        norm(name + ".norm1", input)
        convolution(name + ".conv1", input, output, kernel: 3)
        if let timeWidth { linear(name + ".time_emb_proj", timeWidth, output) }
        norm(name + ".norm2", output)
        convolution(name + ".conv2", output, output, kernel: 3)
        if input != output { convolution(name + ".conv_shortcut", input, output, kernel: 1) }
    }
}
