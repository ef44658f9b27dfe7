import Files
import Tensors

/// Where a training run gets its tokens from. Two sources in the same state give the same batches.
public protocol ActivationSource: AnyObject {
    /// Channels of a token.
    var width: Int { get }
    /// Tokens of one sample: the positions of one map.
    var positions: Int { get }
    /// What the tokens come from. A run is not continued with tokens of another origin.
    var origin: JSON { get }

    /// The next `count` tokens `[count, width]`, or nil when there are not that many left.
    func next(_ count: Int) throws -> Tensor?

    /// All that `restore` needs to go on from here.
    var state: SourceState { get }
    func restore(_ state: SourceState) throws
}

/// A source's place, for a checkpoint.
public struct SourceState: Sendable {
    /// Counters.
    public var json: JSON
    /// What is held in memory, by name.
    public var tensors: [(name: String, tensor: Tensor)]

    /// A place of these counters and tensors.
    public init(json: JSON, tensors: [(name: String, tensor: Tensor)] = []) {
        self.json = json
        self.tensors = tensors
    }
}
