import Files
import Tensors

/// Something that makes the activations of whole pictures, of several layers at once, such as a diffusion model that
/// draws them. Picture `index` is always the same.
public protocol PictureActivations: AnyObject {
    /// What the pictures come from: everything on which `picture` depends but the choice of layers.
    var origin: JSON { get }
    /// Channels and positions of a map, by layer.
    var layers: [(name: String, width: Int, positions: Int)] { get }

    /// Per layer the maps of a picture's time steps, `[positions, width]` each; nil behind the last picture.
    func picture(_ index: Int) throws -> [[Tensor]]?
}

/// Several layers' sources over one stream of pictures, each mixed by a buffer of its own. A picture is made once and
/// its maps wait until their layer takes them; a layer's batches do not depend on which others are trained with it.
public final class ActivationStream {
    fileprivate let producer: any PictureActivations
    public private(set) var sources: [StreamSource] = []
    /// Maps by picture and layer that not every layer has taken; a layer's are dropped when it has.
    private var waiting: [Int: [[Tensor]]] = [:]

    /// - Parameter keepsSamples: maps stay whole, for rules that select per sample.
    public init(
        _ producer: any PictureActivations, keepsSamples: Bool, capacityTokens: Int, seed: UInt64
    ) {
        self.producer = producer
        sources = producer.layers.enumerated().map { index, layer in
            StreamSource(
                stream: self, layer: index, positions: layer.positions,
                buffer: ShuffleBuffer(
                    width: layer.width, group: keepsSamples ? layer.positions : 1, capacityTokens: capacityTokens,
                    seed: seed))
        }
    }

    /// Hands over a picture's maps of one layer; nil behind the last picture.
    fileprivate func take(_ picture: Int, layer: Int) throws -> [Tensor]? {
        if waiting[picture] == nil { waiting[picture] = try producer.picture(picture) }
        guard let maps = waiting[picture]?[layer] else { return nil }
        waiting[picture]?[layer] = []
        return maps
    }

    /// Drops pictures that every layer has taken that is still being trained.
    fileprivate func dropTaken() {
        let first = sources.filter { !$0.isReleased }.map(\.picture).min() ?? .max
        waiting = waiting.filter { $0.key >= first }
    }
}

/// One layer of an `ActivationStream`.
public final class StreamSource: ActivationSource {
    public let positions: Int
    public var width: Int { buffer.width }
    public var origin: JSON { ["pictures": stream.producer.origin, "buffer_tokens": .integer(buffer.capacity * buffer.group)] }
    /// Pictures taken so far.
    public private(set) var picture = 0
    /// Nothing more is wanted of it.
    fileprivate private(set) var isReleased = false
    private var ended = false
    private unowned let stream: ActivationStream
    private let layer: Int
    private let buffer: ShuffleBuffer

    fileprivate init(stream: ActivationStream, layer: Int, positions: Int, buffer: ShuffleBuffer) {
        (self.stream, self.layer, self.positions, self.buffer) = (stream, layer, positions, buffer)
    }

    public func next(_ count: Int) throws -> Tensor? {
        guard count % buffer.group == 0, count <= buffer.largestBatch else {
            throw SimpleFailure(
                .usage, "batch of \(count) tokens: expected a multiple of \(buffer.group), at most half of the buffer "
                    + "(\(buffer.largestBatch))")
        }
        while true {
            if let batch = buffer.draw(count, last: ended) { return batch }
            if ended { return nil }
            if let maps = try stream.take(picture, layer: layer) {
                maps.forEach(buffer.push)
                picture += 1
                stream.dropTaken()
            } else {
                ended = true
            }
        }
    }

    /// Lets the stream forget pictures that only this layer has not taken.
    public func release() {
        isReleased = true
        stream.dropTaken()
    }

    public var state: SourceState {
        SourceState(
            json: [
                "picture": .integer(picture), "ended": .bool(ended), "filled": .integer(buffer.filled),
                "drawn": .integer(buffer.drawn), "waiting": .array(buffer.waitingSizes.map { .integer($0) }),
            ], tensors: [(name: "buffer", tensor: buffer.contents)])
    }

    public func restore(_ state: SourceState) throws {
        guard let picture = state.json["picture"]?.int, let ended = state.json["ended"]?.bool,
            let filled = state.json["filled"]?.int, let drawn = state.json["drawn"]?.int,
            let waiting = state.json["waiting"]?.array?.compactMap(\.int),
            let contents = state.tensors.first(where: { $0.name == "buffer" })?.tensor,
            contents.channels == buffer.group * width, filled <= buffer.capacity,
            contents.rows >= filled + waiting.reduce(0, +)
        else { throw SimpleFailure(.badData, "checkpoint: no place in the stream, or one of another buffer size") }
        (self.picture, self.ended) = (picture, ended)
        buffer.restore(contents, filled: filled, drawn: drawn, waiting: waiting)
    }
}

/// Trains the runs of one stream side by side: always the one that has taken the fewest pictures, so that few maps wait.
///
/// - Parameter shallStop: asked before every step. Then, and when the pictures' maker throws an error of the kind
///   `stoppedEarly`, all runs are saved.
public func trainTogether(
    _ runs: [(run: TrainingRun, source: StreamSource)], shallStop: () -> Bool,
    progress: (TrainingRun, TrainingMetrics) -> Void
) throws {
    // One that was killed after its last checkpoint has yet to write its result.
    for (run, _) in runs where run.isFinished { try run.advance(0) }
    var active = runs
    do {
        while !shallStop() {
            for (run, source) in active where run.isFinished { source.release() }
            active.removeAll { $0.run.isFinished }
            guard let next = active.min(by: { $0.source.picture < $1.source.picture }) else { return }
            try next.run.advance(1, progress: { progress(next.run, $0) })
        }
    } catch let error as any Failure where error.kind == .stoppedEarly {
        // Between two steps, as above: a batch that was not filled has taken nothing from its source for good.
    }
    for (run, _) in active where !run.isFinished { try run.save() }
}
