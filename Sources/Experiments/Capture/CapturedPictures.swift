import Checkpoints
import Files
import SparseAutoencoders
import Tensors
import WorkUnits

/// The maps of the pictures that go into one file of each store, while they are drawn. When that is stopped in the middle,
/// they are kept under `partial/` in single precision, and the next process that takes the file goes on from there.
struct CapturedPictures {
    /// Of claims and of what is kept.
    static let stage = "capture"

    /// `[layer][map]`
    private(set) var maps: [[Tensor]]
    private(set) var timesteps: [Int] = []
    /// Pictures that were drawn.
    private(set) var count = 0
    private var kept = 0
    private let layers: [String]
    private let partial: PartialUnit

    /// With the pictures that an attempt before this one kept.
    ///
    /// - Throws: `FileFailure` if they cannot be read.
    init(_ file: Int, _ pictures: Range<Int>, _ stores: [ActivationStore], in folder: String) throws {
        maps = [[Tensor]](repeating: [], count: stores.count)
        layers = stores.map(\.layer)
        let key: JSON = [
            "origin": stores[0].origin, "layers": .array(layers.map { .string($0) }),
            "first": .integer(pictures.lowerBound), "count": .integer(pictures.count),
        ]
        partial = PartialUnit(
            study: folder, stage: Self.stage, unit: WorkUnit(id: "\(file)", key: key, payload: ()))
        if let folder = partial.kept { try restore(SafetensorsFile(path: Self.path(folder))) }
    }

    private static func path(_ folder: String) -> String { "\(folder)/maps.safetensors" }

    private mutating func restore(_ file: SafetensorsFile) throws {
        timesteps = try file.weight("timesteps").floats().map { Int($0) }
        for (index, layer) in layers.enumerated() {
            let weight = try file.weight(layer)
            let all = Tensor(weight.shape, weight.floats())
            maps[index] = (0..<weight.shape[0]).map { all.slice($0..<$0 + 1).reshaped(Array(weight.shape[1...])).copy() }
        }
        count = Int(file.metadata["pictures"] ?? "") ?? 0
        kept = count
    }

    /// Adds a picture's maps `[layer][map]`, each `[positions, D]`.
    mutating func add(_ picture: [[Tensor]], timesteps: [Int]) {
        for layer in maps.indices { maps[layer] += picture[layer] }
        self.timesteps += timesteps
        count += 1
    }

    /// Keeps what was drawn, if more was than is kept already.
    func keep() throws {
        if count == kept { return }
        try partial.keep { folder in
            var tensors = zip(layers, maps).map { layer, maps in (layer, Self.stacked(maps)) }
            tensors.append(("timesteps", Tensor([timesteps.count], timesteps.map(Float.init))))
            try SafetensorsWriter.write(tensors, metadata: ["pictures": "\(count)"], to: Self.path(folder))
        }
    }

    private static func stacked(_ maps: [Tensor]) -> Tensor {
        let all = Tensor([maps.count] + maps[0].shape)
        for (index, map) in maps.enumerated() {
            (all.pointer + index * map.count).update(from: map.pointer, count: map.count)
        }
        return all
    }

    /// The file is written: nothing need be kept.
    func remove() { partial.remove() }
}
