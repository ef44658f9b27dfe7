import ArgumentParser
import Files
import Ops
import StableDiffusion

struct Layers: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List every layer of a model's U-Net that can be looked at.",
        discussion: """
            For each hook point: the shape of its activation for one latent (positions × channels), the floating-point \
            operations of a forward pass up to it, and the weights that must be loaded to reach it. Only the \
            configuration is read.
            """)

    @OptionGroup var model: ModelOptions
    @OptionGroup var size: SizeOptions

    @Flag(help: "Print one JSON object a line.")
    var json = false

    @Flag(help: "Print instead how every convolution of the U-Net is computed at this size on this machine.")
    var plan = false

    @Option(help: "With --plan: the precision it is for, f32 or bf16.")
    var precision: Precision?

    func validate() throws {
        if precision != nil, !plan { throw ValidationError("--precision belongs to --plan") }
    }

    func run() throws {
        let folder = try model.folder()
        let (height, width) = try size.latentSize(folder)
        if plan {
            let speedup = try InstructionSet.bfloat16Speedup(of: RuntimeOptions.environment["LVO_ISA"])
            let plan = folder.unetConfig.convolutions(
                height: height, width: width, precision: precision ?? .float32, speedup: speedup)
            return plan.forEach(printConvolution)
        }
        let latent = LatentSize(height: height, width: width)
        let config = folder.unetConfig
        let hooks = config.hookPoints()
        let rows = zip(hooks, config.costs(to: hooks, latent)).map { hook, cost in
            (hook: hook, shape: hook.shape(batch: 1, height: height, width: width), cost: cost)
        }
        if json {
            for row in rows { print(object(row.hook, row.shape, row.cost).serialized()) }
        } else {
            let nameWidth = rows.map(\.hook.name.count).max() ?? 0
            print(padded("layer", nameWidth) + "   positions × channels      GFLOP   M weights")
            for row in rows {
                let shape = "\(row.shape[1]) × \(row.shape[2])"
                print(
                    padded(row.hook.name, nameWidth) + aligned(shape, 23) + aligned(decimal(row.cost.flops, 1e9), 11)
                        + aligned(decimal(row.cost.parameters, 1e6), 12))
            }
        }
    }

    private func printConvolution(_ step: PlannedConvolution) {
        if json { return print(object(step).serialized()) }
        let shape = "\(step.height)×\(step.width), \(step.inputs) → \(step.outputs)"
        let stride = step.stride > 1 ? ", stride \(step.stride)" : ""
        print(padded(step.name, 36) + padded(shape + stride, 34) + step.algorithm.rawValue)
    }

    private func object(_ step: PlannedConvolution) -> JSON {
        [
            "name": .string(step.name), "size": [.integer(step.height), .integer(step.width)],
            "inputs": .integer(step.inputs), "outputs": .integer(step.outputs), "stride": .integer(step.stride),
            "algorithm": .string(step.algorithm.rawValue),
        ]
    }

    private func object(_ hook: HookPoint, _ shape: [Int], _ cost: Cost) -> JSON {
        [
            "name": .string(hook.name), "shape": .array(shape.map { .integer($0) }),
            "gflop": .number(Double(cost.flops) / 1e9), "parameters": .integer(cost.parameters),
        ]
    }

    private func padded(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }

    private func aligned(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(1, width - text.count)) + text
    }

    /// Three decimals, so that small models show something.
    private func decimal(_ value: Int, _ unit: Double) -> String {
        let thousandths = Int((Double(value) / unit * 1000).rounded())
        let fraction = String(thousandths % 1000)
        return "\(thousandths / 1000)." + String(repeating: "0", count: 3 - fraction.count) + fraction
    }
}
