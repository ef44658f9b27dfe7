import Files
import Tensors

/// `*.safetensors.index.json`: which part file holds which tensor.
enum ShardIndex {
    static func weights(path: String) throws(FileFailure) -> [Weight] {
        guard let map = try JSON.read(path)["weight_map"]?.object else {
            throw .badKey(file: path, key: "weight_map", expected: "an object", found: "nothing of the kind")
        }
        var parts: [String: SafetensorsFile] = [:]
        var weights: [Weight] = []
        for (tensor, value) in map {
            guard let name = value.string, !name.isEmpty, !name.contains("/"), name != ".." else {
                throw .badKey(
                    file: path, key: "weight_map.\(tensor)", expected: "the name of a file in the same folder",
                    found: value.string ?? value.typeName)
            }
            if parts[name] == nil { parts[name] = try SafetensorsFile(path: "\(FileSystem.parent(path))/\(name)") }
            if let part = parts[name] { weights.append(try part.weight(tensor)) }
        }
        for part in parts.values.sorted(by: { $0.path < $1.path }) {
            let extra = part.names.filter { map[$0] == nil }
            if !extra.isEmpty { throw .extraTensors(file: part.path, names: extra) }
        }
        return weights
    }
}
