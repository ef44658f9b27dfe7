import Files
import Tensors

/// One layer of an `ActivationStream`.
public final class StreamSource: ActivationSource {
    /// Tokens of one map.
    public let positions: Int
    /// Channels of a token, `D`.
    public var width: Int { buffer.width }
    /// The producer's origin and the buffer's size.
    public var origin: JSON { ["pictures": queue.producer.origin, "buffer_tokens": .integer(buffer.capacity * buffer.group)] }
    /// Pictures taken so far.
    public private(set) var picture = 0
    private var ended = false
    private let queue: PictureQueue
    private let layer: Int
    private let buffer: ShuffleBuffer

    init(queue: PictureQueue, layer: Int, positions: Int, buffer: ShuffleBuffer) {
        (self.queue, self.layer, self.positions, self.buffer) = (queue, layer, positions, buffer)
    }

    /// - Throws: `SimpleFailure(.usage)` if `count` is not a multiple of what leaves together or exceeds half of the
    ///   buffer; what the producer throws.
    public func next(_ count: Int) throws -> Tensor? {
        guard count % buffer.group == 0, count <= buffer.largestBatch else {
            throw SimpleFailure(
                .usage, "batch of \(count) tokens: expected a multiple of \(buffer.group), at most half of the buffer "
                    + "(\(buffer.largestBatch))")
        }
        while true {
            if let batch = buffer.draw(count, last: ended) { return batch }
            if ended { return nil }
            if let maps = try queue.take(picture, layer: layer) {
                maps.forEach(buffer.push)
                picture += 1
                queue.note(picture, layer: layer)
            } else {
                ended = true
            }
        }
    }

    /// Lets the stream forget pictures that only this layer has not taken.
    public func release() { queue.note(nil, layer: layer) }

    /// Pictures taken and the buffer's contents.
    public var state: SourceState {
        SourceState(
            json: [
                "picture": .integer(picture), "ended": .bool(ended), "filled": .integer(buffer.filled),
                "drawn": .integer(buffer.drawn), "waiting": .array(buffer.waitingSizes.map { .integer($0) }),
            ], tensors: [(name: "buffer", tensor: buffer.contents)])
    }

    /// - Throws: `SimpleFailure(.badData)` if the state is not one of a stream with this buffer.
    public func restore(_ state: SourceState) throws {
        guard let picture = state.json["picture"]?.int, let ended = state.json["ended"]?.bool,
            let filled = state.json["filled"]?.int, let drawn = state.json["drawn"]?.int,
            let waiting = state.json["waiting"]?.array?.compactMap(\.int),
            let contents = state.tensors.first(where: { $0.name == "buffer" })?.tensor,
            ([picture, filled, drawn] + waiting).allSatisfy({ (0...1 << 48).contains($0) }),
            contents.channels == buffer.group * width, filled <= buffer.capacity,
            contents.rows >= filled + waiting.reduce(0, +)
        else { throw SimpleFailure(.badData, "checkpoint: no place in the stream, or one of another buffer size") }
        (self.picture, self.ended) = (picture, ended)
        queue.note(picture, layer: layer)
        buffer.restore(contents, filled: filled, drawn: drawn, waiting: waiting)
    }
}
