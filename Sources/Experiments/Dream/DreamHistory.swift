import Files
import Tensors
import Visualization

/// The history of a batch, a list of numbers per quantity and step. They are float32, so that an interrupted
/// run has the same history as one that was not.
public struct DreamHistory: Sendable {
    /// A quantity and how many numbers of it a step has: one per latent, one per group of latents, or one.
    enum Quantity: String, CaseIterable {
        case activation
        case totalVariation = "total_variation"
        case range
        case moment
        case diversity
        case loss
        case gradientWasZero = "gradient_was_zero"
    }

    /// `[step][latent, group or 0]`
    private var values: [Quantity: [[Float]]] = [:]
    /// Seconds since the batch began, for the steps of this process.
    private var seconds: [Double] = []

    /// Without any steps.
    public init() {}

    mutating func append(_ step: DreamStep, seconds: Double) {
        func add(_ quantity: Quantity, _ numbers: [Double]) {
            values[quantity, default: []].append(numbers.map { Float($0) })
        }
        add(.activation, step.activations)
        add(.totalVariation, step.penalties.map(\.totalVariation))
        add(.range, step.penalties.map(\.range))
        add(.moment, step.penalties.map(\.moment))
        add(.diversity, [step.diversity])
        add(.loss, step.losses)
        add(.gradientWasZero, step.isFlat.map { $0 ? 1 : 0 })
        self.seconds.append(seconds)
    }

    /// As tensors `[steps, numbers]`, to continue from.
    var state: DreamState {
        Quantity.allCases.compactMap { quantity in
            guard let rows = values[quantity], let first = rows.first else { return nil }
            return ("history/\(quantity.rawValue)", Tensor([rows.count, first.count], rows.flatMap { $0 }))
        }
    }

    /// Nil unless these are the tensors of a `state` after that many steps.
    init?(state: [String: Tensor], steps: Int) {
        for quantity in Quantity.allCases where steps > 0 {
            guard let tensor = state["history/\(quantity.rawValue)"], tensor.shape.count == 2, tensor.shape[0] == steps
            else { return nil }
            let (numbers, width) = (tensor.array, tensor.shape[1])
            values[quantity] = (0..<steps).map { Array(numbers[$0 * width..<($0 + 1) * width]) }
        }
    }

    /// The history of one latent.
    func json(latent: Int, group: Int) -> JSON {
        var object = JSONObject()
        for quantity in Quantity.allCases {
            let rows = values[quantity] ?? []
            switch quantity {
            case .activation:
                object[quantity.rawValue] = .array(rows.map { .float($0[latent]) })
                object["batch_activation"] = .array(rows.map { .float($0.reduce(0, +) / Float($0.count)) })
            case .gradientWasZero: object[quantity.rawValue] = .array(rows.map { .bool($0[latent] > 0) })
            case .diversity: object[quantity.rawValue] = .array(rows.map { .float($0[0]) })
            default: object[quantity.rawValue] = .array(rows.map { .float($0[group]) })
            }
        }
        return .object(object)
    }

    /// Seconds since the batch began, at each step.
    var times: JSON { .array(seconds.map { .number(($0 * 1000).rounded() / 1000) }) }
}
