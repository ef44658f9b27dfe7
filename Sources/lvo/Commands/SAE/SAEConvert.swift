import ArgumentParser
import SparseAutoencoders
import Tensors

struct SAEConvert: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "convert", abstract: "Convert between the published folder format and SAELens'.",
        discussion: "The published format is cfg.json with sae.safetensors; SAELens has sae_weights.safetensors.")

    enum Format: String, ExpressibleByArgument, CaseIterable {
        case published, saelens
    }

    enum Precision: String, ExpressibleByArgument, CaseIterable {
        case f32, f16, bf16

        var dtype: DType { DType(rawValue: rawValue.uppercased()) ?? .f32 }
    }

    @Option(help: ArgumentHelp("Folder to read.", valueName: "dir"))
    var input: String

    @Option(help: "Format of the folder to read.")
    var from: Format

    @Option(help: ArgumentHelp("Folder to write, in the other format.", valueName: "dir"))
    var output: String

    @Option(help: "Layer's name for SAELens' cfg.json.")
    var layer = "unknown"

    @Option(help: "Precision of the published format.")
    var dtype = Precision.f32

    @Flag(help: "Replace files that exist.")
    var overwrite = false

    func run() throws {
        switch from {
        case .published:
            try SAELens.write(SparseAutoencoder(folder: input), folder: output, hook: layer, overwrite: overwrite)
        case .saelens:
            try SAELens.read(folder: input).write(folder: output, dtype: dtype.dtype, overwrite: overwrite)
        }
        print("wrote \(output)")
    }
}
