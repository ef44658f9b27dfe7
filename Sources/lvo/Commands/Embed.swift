import ArgumentParser
import Checkpoints
import StableDiffusion
import Tensors

struct Embed: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Write what the text encoder makes of prompts.",
        discussion: "Output: `ids` [B, T] (I64) and `context` [B, T, C], which `--context` of other commands reads.")

    @OptionGroup var model: ModelOptions
    @OptionGroup var runtime: RuntimeOptions

    @Option(parsing: .upToNextOption, help: "Prompts, one per sample. Default: the empty one.")
    var prompt: [String] = [""]

    @Option(help: "Layers of the text encoder left out at its end, as diffusers counts.")
    var clipSkip = 0

    @Option(help: ArgumentHelp("Safetensors file to write.", valueName: "file"))
    var output: String

    @Flag(help: "Replace the file if it exists.")
    var overwrite = false

    func run() throws {
        let encoder = try PromptEncoder(model.folder(), engine: runtime.engine())
        let encoded = try encoder.encode(prompt, clipSkip: clipSkip)
        warnAboutDropped(encoded.dropped)
        let shape = [encoded.ids.count, encoded.ids.first?.count ?? 0]
        try SafetensorsWriter.write(
            [Weight(name: "context", tensor: encoded.context), idsWeight(encoded.ids.flatMap { $0 }, shape)],
            to: output, overwrite: overwrite)
        print(output)
    }

    private func idsWeight(_ ids: [Int], _ shape: [Int]) -> Weight {
        final class Owner {
            let buffer: UnsafeMutableBufferPointer<Int64>
            init(_ ids: [Int]) {
                buffer = .allocate(capacity: ids.count)
                _ = buffer.initialize(from: ids.map(Int64.init))
            }
            deinit { buffer.deallocate() }
        }
        let owner = Owner(ids)
        return Weight(name: "ids", shape: shape, dtype: .i64, bytes: UnsafeRawBufferPointer(owner.buffer), owner: owner)
    }
}
