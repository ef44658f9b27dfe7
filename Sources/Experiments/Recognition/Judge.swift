import Checkpoints
import Files
import Ops
import Pictures
import Tensors

/// A small convolutional network that names what a picture shows: for each known factor (such as pattern or ground) one
/// of its values, or that it is none of them. It sees pixels and knows nothing of the model whose dreams it judges.
/// `tools/train-judge` trains the embedded model's.
///
///     x = relu(conv₃ₓ₃(x)) several times;  logits = head_factor([mean over positions of x | largest over positions of x])
///
/// A judge is a safetensors file: `convolutions.I.weight [O, I, 3, 3]`, `.bias [O]`, `heads.FACTOR.weight [V, 2·O]`,
/// `.bias`, and in its metadata, as JSON, `classes`, an object of each factor's values, `side`, the pictures' size in pixels,
/// and `strides`, one per convolution.
public struct Judge: Sendable {
    /// The value that stands for none of the others.
    public static let none = "none"

    /// Each factor's values, `none` among them, in the order of the head's outputs.
    public let classes: [String: [String]]
    /// Width and height of the pictures it can judge.
    public let side: Int
    /// Checksum of the file.
    public let fingerprint: String
    private let convolutions: [Convolution]
    private let heads: [String: Linear]

    /// - Throws: `FileFailure` for a file that cannot be read, `SimpleFailure(.badData)` for one that is no judge.
    public init(path: String, engine: Engine) throws {
        let file = try SafetensorsFile(path: path)
        func described(_ name: String) -> JSON { (try? JSON.parse(file.metadata[name] ?? "")) ?? .null }
        var classes: [String: [String]] = [:]
        for (factor, values) in described("classes").object ?? JSONObject() {
            classes[factor] = values.array?.compactMap(\.string) ?? []
        }
        let strides = described("strides").array?.compactMap(\.int) ?? []
        guard let side = described("side").int, side > 0, !classes.isEmpty, !strides.isEmpty,
            strides.allSatisfy({ $0 == 1 || $0 == 2 })
        else { throw SimpleFailure(.badData, "\(path): not a judge: its metadata lack classes, side or strides") }
        var width = 3
        var convolutions: [Convolution] = []
        for (index, stride) in strides.enumerated() {
            let parameters = try Parameters(file, "convolutions.\(index)")
            try parameters.check([parameters.outputs, width, 3, 3])
            convolutions.append(
                Convolution(weight: parameters.weight, bias: parameters.bias, stride: stride, engine: engine.inFloat32))
            width = parameters.outputs
        }
        var heads: [String: Linear] = [:]
        for (factor, values) in classes {
            let parameters = try Parameters(file, "heads.\(factor)")
            try parameters.check([values.count, 2 * width])
            heads[factor] = Linear(weight: parameters.weight, bias: parameters.bias, engine: engine.inFloat32)
        }
        (self.classes, self.side, self.convolutions, self.heads) = (classes, side, convolutions, heads)
        fingerprint = try Fingerprint.of(file: path)
    }

    /// Per factor `[B, V]`, for pictures `[B, side, side, 3]` in −1…1.
    ///
    /// - Precondition: that is their shape.
    public func logits(_ pictures: Tensor) -> [String: Tensor] {
        precondition(pictures.shape[1...] == [side, side, 3], "pictures \(pictures.shape) for a judge of \(side)×\(side)")
        let map = convolutions.reduce(pictures) { Self.rectified($1.forward($0)) }
        let pooled = Self.pooled(map.reshaped([map.shape[0], map.shape[1] * map.shape[2], map.channels]))
        return heads.mapValues { $0.forward(pooled) }
    }

    /// Per factor the value with the largest logit, of equal ones the first; nil for a picture of another size.
    public func choices(_ picture: Bitmap) -> [String: String]? {
        guard picture.width == side, picture.height == side else { return nil }
        var choices: [String: String] = [:]
        for (factor, logits) in logits(picture.tensor()) {
            let values = logits.array
            let first = values.indices.max { values[$0] < values[$1] || values[$0] == values[$1] && $0 > $1 }
            choices[factor] = first.flatMap { classes[factor]?[$0] }
        }
        return choices
    }

    /// `[mean | largest]` over positions, `[B, N, O] → [B, 2·O]`.
    private static func pooled(_ x: Tensor) -> Tensor {
        let (means, width) = (x.positionMeans(), x.channels)
        let result = Tensor([x.shape[0], 2 * width])
        for sample in 0..<x.shape[0] {
            let (target, positions) = (result.pointer + sample * 2 * width, x.shape[1])
            target.update(from: means.pointer + sample * width, count: width)
            for channel in 0..<width {
                let values = (0..<positions).map { x.pointer[(sample * positions + $0) * width + channel] }
                target[width + channel] = values.max() ?? 0
            }
        }
        return result
    }

    private static func rectified(_ x: Tensor) -> Tensor {
        for i in 0..<x.count { x.pointer[i] = max(x.pointer[i], 0) }
        return x
    }
}

/// Weight and bias of one layer.
private struct Parameters {
    let file: String
    let name: String
    let weight: Weight
    let bias: Weight

    var outputs: Int { bias.count }

    init(_ file: SafetensorsFile, _ name: String) throws {
        (self.file, self.name) = (file.path, name)
        (weight, bias) = (try file.weight("\(name).weight"), try file.weight("\(name).bias"))
    }

    func check(_ shape: [Int]) throws {
        guard weight.shape == shape, outputs > 0, bias.shape == [shape[0]], weight.defect == nil, bias.defect == nil else {
            throw SimpleFailure(
                .badData, "\(file): \(name).weight has shape \(weight.shape), expected \(shape) and a bias for each output")
        }
    }
}
