import Files
import Tensors

/// `*.safetensors.index.json` or `*.bin.index.json`: which part file holds which tensor.
enum ShardIndex {
    static func weights(path: String) throws -> [Weight] {
        guard let map = try JSON.read(path)["weight_map"]?.object else {
            throw FileFailure.badKey(file: path, key: "weight_map", expected: "an object", found: "nothing of the kind")
        }
        var parts: [String: [String: Weight]] = [:]
        var weights: [Weight] = []
        for (tensor, value) in map {
            guard let name = value.string, !name.isEmpty, !name.contains("/"), name != ".." else {
                throw FileFailure.badKey(
                    file: path, key: "weight_map.\(tensor)", expected: "the name of a file in the same folder",
                    found: value.string ?? value.typeName)
            }
            let file = "\(FileSystem.parent(path))/\(name)"
            let part = try parts[name] ?? tensors(of: file)
            parts[name] = part
            guard let weight = part[tensor] else { throw FileFailure.missingTensors(file: file, names: [tensor]) }
            weights.append(weight)
        }
        for (name, part) in parts.sorted(by: { $0.key < $1.key }) {
            let extra = part.keys.filter { map[$0] == nil }.sorted()
            if !extra.isEmpty {
                throw FileFailure.extraTensors(file: "\(FileSystem.parent(path))/\(name)", names: extra)
            }
        }
        return weights
    }

    private static func tensors(of path: String) throws -> [String: Weight] {
        let named = try WeightFile(MappedFile(path: path)).weights.map { ($0.name, $0) }
        return Dictionary(named, uniquingKeysWith: { first, _ in first })
    }
}
