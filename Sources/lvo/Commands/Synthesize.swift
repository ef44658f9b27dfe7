import ArgumentParser
import Files
import Ops
import StableDiffusion
import Tensors

struct Synthesize: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Write Stable Diffusion 1.5 with synthetic weights, for benchmarks and reference values.",
        discussion: """
            Every weight is a hash of its tensor's name and its index, so the same numbers come out anywhere. \
            Pictures made with such a model mean nothing; speed, memory and numerical agreement are those of a real one.
            """)

    enum Precision: String, ExpressibleByArgument, CaseIterable {
        case f16, f32

        var dtype: DType { self == .f16 ? .f16 : .f32 }
    }

    @Option(help: "Precision of the stored weights: f32 takes 4.3 GB, f16 half of it.")
    var dtype = Precision.f16

    @Option(help: "Text put before every name that is hashed: another salt gives other weights.")
    var salt = ""

    @Option(help: "Folder to write.")
    var output: String

    @Flag(help: "Replace files that exist.")
    var overwrite = false

    func run() throws {
        try OutputCheck.folder(output)
        let threads = try Engine().threads
        try SyntheticModel(dtype: dtype.dtype, salt: salt).write(to: output, overwrite: overwrite) { tasks, body in
            threads.forEach(tasks) { task, _ in body(task) }
        }
        print("wrote sd15 (\(dtype.rawValue)) to \(output)")
    }
}
