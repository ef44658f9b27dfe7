import Files
import Tensors

/// Several layers' sources over one stream of pictures, each mixed by a buffer of its own. A picture is made once and
/// its maps wait until their layer takes them; a layer's batches do not depend on which others are trained with it.
public struct ActivationStream {
    /// One for each of the producer's layers, in their order. A source may outlive the stream.
    public let sources: [StreamSource]

    /// - Parameters:
    ///   - keepsSamples: maps stay whole, for rules that select per sample.
    ///   - capacityTokens: tokens in each layer's buffer.
    /// - Throws: `SimpleFailure(.usage)` if a buffer is too small to mix: below two tokens, or two maps if they stay whole.
    public init(_ producer: any PictureActivations, keepsSamples: Bool, capacityTokens: Int, seed: UInt64) throws {
        let queue = PictureQueue(producer)
        sources = try producer.layers.enumerated().map { index, layer in
            let group = keepsSamples ? layer.positions : 1
            guard capacityTokens >= 2 * group else {
                throw SimpleFailure(
                    .usage, "\(layer.name): a buffer of \(capacityTokens) tokens: expected at least \(2 * group)"
                        + (keepsSamples ? ", two whole maps" : ""))
            }
            let buffer = ShuffleBuffer(width: layer.width, group: group, capacityTokens: capacityTokens, seed: seed)
            return StreamSource(queue: queue, layer: index, positions: layer.positions, buffer: buffer)
        }
    }
}
