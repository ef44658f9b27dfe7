import Tensors

/// Pictures that were made and that some layer has yet to take. Every source of a stream holds it, so that it lives as
/// long as any of them; it does not know the sources.
final class PictureQueue {
    let producer: any PictureActivations
    /// Pictures that each layer has taken; nil for a layer that wants no more.
    private(set) var taken: [Int?]
    /// Maps by picture and layer; a layer's are dropped when it has taken them.
    private var waiting: [Int: [[Tensor]]] = [:]

    init(_ producer: any PictureActivations) {
        self.producer = producer
        taken = producer.layers.map { _ in 0 }
    }

    /// Hands over a picture's maps of one layer; nil after the last picture.
    func take(_ picture: Int, layer: Int) throws -> [Tensor]? {
        if waiting[picture] == nil { waiting[picture] = try producer.picture(picture) }
        guard let maps = waiting[picture]?[layer] else { return nil }
        waiting[picture]?[layer] = []
        return maps
    }

    /// Notes how many pictures a layer has taken (nil: it wants no more), and drops those that every layer has.
    func note(_ count: Int?, layer: Int) {
        taken[layer] = count
        let first = taken.compactMap { $0 }.min() ?? .max
        waiting = waiting.filter { $0.key >= first }
    }
}
