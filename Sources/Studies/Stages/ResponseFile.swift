import Checkpoints
import Files
import Tensors

/// What the whole network makes of pictures, in a safetensors file: `errors [P, T]`, and per level of the network its
/// activations averaged over positions, `NAME [P, T, D]`, of P pictures at T time steps; the metadata name the levels in
/// order.
struct ResponseFile {
    let levels: [String]
    private let file: SafetensorsFile
    private let pictures: Int

    static func write(_ responses: [NetworkResponse], to path: String) throws {
        let shape = [responses.count, responses[0].errors.count]
        var tensors = [(name: "errors", tensor: Tensor(shape, responses.flatMap(\.errors)))]
        for (index, level) in responses[0].levels.enumerated() {
            let values = responses.flatMap { $0.levels[index].activations.joined() }
            tensors.append((level.name, Tensor(shape + [values.count / (shape[0] * shape[1])], values)))
        }
        let names = responses[0].levels.map(\.name).joined(separator: ",")
        try SafetensorsWriter.write(tensors, metadata: ["levels": names], to: path)
    }

    /// - Parameter pictures: how many it holds.
    init(_ path: String, pictures: Int) throws {
        file = try SafetensorsFile(path: path)
        levels = (file.metadata["levels"] ?? "").split(separator: ",").map(String.init)
        self.pictures = pictures
    }

    func errors() throws -> [Float] { try file.weight("errors").floats() }

    /// A level's, of all pictures.
    func activations(_ level: String) throws -> [Float] { try file.weight(level).floats() }

    /// A level's of one picture, `[T·D]`.
    func activations(_ level: String, of picture: Int) throws -> [Float] {
        let weight = try file.weight(level)
        let size = weight.count / pictures
        return (picture * size..<(picture + 1) * size).map {
            weight.bytes.loadUnaligned(fromByteOffset: 4 * $0, as: Float.self)
        }
    }
}
