import ArgumentParser
import Files
import SparseAutoencoders
import Tensors

struct SAEConvert: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "convert", abstract: "Convert an autoencoder to another format or precision.",
        discussion: """
            The published format is cfg.json with sae.safetensors; SAELens has sae_weights.safetensors, \
            dictionary_learning config.json with ae.pt. Which one INPUT is follows from its files.
            """)

    enum Format: String, ExpressibleByArgument, CaseIterable {
        case published, saelens
    }

    enum Precision: String, ExpressibleByArgument, CaseIterable {
        case f32, f16, bf16

        var dtype: DType {
            switch self {
            case .f32: .f32
            case .f16: .f16
            case .bf16: .bf16
            }
        }
    }

    @Option(help: ArgumentHelp("Folder to read.", valueName: "dir"))
    var input: String

    @Option(help: "Format to write.")
    var to: Format

    @Option(help: ArgumentHelp("Folder to write.", valueName: "dir"))
    var output: String

    @Option(help: "Layer's name for SAELens' cfg.json. Default: unknown.")
    var layer: String?

    @Option(help: "Precision to write.")
    var dtype = Precision.f32

    @Flag(help: "Replace files that exist.")
    var overwrite = false

    func validate() throws {
        if layer != nil, to == .published { throw ValidationError("--layer is for --to saelens") }
    }

    func run() throws {
        try OutputCheck.folder(output)
        let autoencoder = try SparseAutoencoder(folder: input)
        switch to {
        case .saelens:
            try SAELens.write(autoencoder, folder: output, hook: layer ?? "unknown", dtype: dtype.dtype, overwrite: overwrite)
        case .published:
            try autoencoder.write(folder: output, dtype: dtype.dtype, overwrite: overwrite)
        }
        print(output)
    }
}
