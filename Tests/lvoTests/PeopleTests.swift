import Checkpoints
import Files
import Foundation
import Pictures
import StableDiffusion
import Tensors
import Testing
import TestSupport

/// What people bring to the command line, by public reports about programs of this kind. Adding a report is adding a case,
/// and a row to the table of docs/testing.md.
@Suite struct PeopleTests {
    struct Case: CustomTestStringConvertible, Sendable {
        let name: String
        /// The public report it stands for.
        let report: String
        let check: @Sendable (TemporaryFolder) throws -> Void

        init(_ name: String, _ report: String, _ check: @escaping @Sendable (TemporaryFolder) throws -> Void) {
            (self.name, self.report, self.check) = (name, report, check)
        }

        var testDescription: String { name }
    }

    static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("../..").standardizedFileURL.path
    static let model = root + "/Sources/Experiments/Resources/shapes"
    static let people = root + "/Tests/StableDiffusionTests/Fixtures/people"
    private static let layer = "mid_block.attentions.0"

    static func generate(_ folder: TemporaryFolder, _ output: String, _ arguments: String...) throws -> Program.Result {
        let model = arguments.contains("--model") ? [] : ["--model", model]
        return try Program.run(["generate", "--steps", "2", "--output", folder.file(output)] + model + arguments)
    }

    /// The number of pictures that `capture` would draw for a command line in a shell.
    static func pictures(_ prompts: String, _ folder: TemporaryFolder, before: String = "") throws -> String {
        let command = "\(before) '\(Program.path)' capture --model '\(model)' --layer \(layer) --prompts \(prompts)"
            + " --store '\(folder.file("store"))' --dry-run"
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/bash")
        process.arguments = ["-c", command]
        process.environment = Program.environment
        let output = Pipe()
        (process.standardOutput, process.standardError) = (output, output)
        try process.run()
        let text = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return String(decoding: text, as: UTF8.self)
    }

    /// A copy of the model in which `change` may do as it likes.
    static func model(in folder: TemporaryFolder, change: (_ path: String) throws -> Void) throws -> String {
        let path = folder.file("model")
        try FileManager.default.copyItem(atPath: model, toPath: path)
        try change(path)
        return path
    }

    static func lora(_ folder: TemporaryFolder, extra: [String]) throws -> String {
        let layer = "lora_te1_text_model_encoder_layers_0_self_attn_q_proj"
        let path = folder.file("some.safetensors")
        try SafetensorsWriter.write(
            [(layer + ".lora_down.weight", Tensor([1, 64], [Float](repeating: 0.1, count: 64))),
             (layer + ".lora_up.weight", Tensor([64, 1], [Float](repeating: 0.1, count: 64)))]
                + extra.map { (layer + $0, Tensor.zeros([1])) }, to: path)
        return path
    }

    static let cases = [
        Case("prompts with Windows line ends", "https://github.com/google/dotprompt/pull/256") { folder in
            _ = try folder.write("windows.txt", Array("a red star\r\na blue ring\r\n".utf8))
            _ = try folder.write("plain.txt", Array("\u{FEFF}a red star\na blue ring".utf8))
            let windows = try generate(folder, "a", "--prompts", folder.file("windows.txt"))
            #expect(windows.output.split(separator: "\n").count == 2, "\(windows.errors)")
            _ = try generate(folder, "b", "--prompts", folder.file("plain.txt"))
            for name in ["00000-0.png", "00001-0.png"] {
                #expect(try folder.bytes("a/" + name) == folder.bytes("b/" + name))
            }
        },
        Case("JSON lines with Windows line ends", "https://github.com/ArchiveTeam/grab-site/issues/48") { folder in
            let path = try folder.write("x.jsonl", Array("{\"text\": \"a\"}\r\n{\"text\": \"b\"}".utf8))
            #expect(try pictures("'\(path)'", folder).contains(": 2 pictures"))
        },
        Case("prompts from a pipe", "https://github.com/AbdBarho/stable-diffusion-webui-docker/pull/19") { folder in
            let substituted = try pictures("<(printf 'a\\r\\nb\\nc')", folder)
            #expect(substituted.contains(": 3 pictures"), "\(substituted)")
            let piped = try pictures("/dev/stdin", folder, before: "printf 'a\\nb' |")
            #expect(piped.contains(": 2 pictures"), "\(piped)")
            let lines = try pictures("/dev/stdin", folder, before: "printf '{\"text\": \"a\"}\\n{\"text\": \"a\"}' |")
            #expect(lines.contains(": 1 pictures"), "\(lines)")
        },
        Case("prompts in UTF-16 and Latin-1", "https://github.com/rizonesoft/Notepad3/pull/5298") { folder in
            let wide = try folder.write("wide.txt", [0xFF, 0xFE] + "a\n".utf16.flatMap { [UInt8($0 & 255), 0] })
            #expect(try pictures("'\(wide)'", folder).contains("UTF-16LE; convert it: iconv -f UTF-16LE -t UTF-8"))
            let latin = try folder.write("latin.txt", [0x6E, 0x61, 0xEF, 0x76, 0x65])
            #expect(try pictures("'\(latin)'", folder).contains("line 1 is not UTF-8"))
        },
        Case("emphasis", "https://github.com/huggingface/diffusers/issues/2431") { folder in
            let literal = try generate(folder, "a", "--prompt", "a (red:1.5) star")
            #expect(literal.errors.contains("taken as they stand; --emphasis reads them"))
            let read = try generate(folder, "b", "--prompt", "a (red:1.5) star", "--emphasis")
            #expect(read.status == 0 && !read.errors.contains("as they stand"), "\(read.errors)")
            let plain = try generate(folder, "c", "--prompt", "a red star", "--emphasis")
            #expect(plain.status == 0)
            let pictures = try ["a", "b", "c"].map { try PNG.read(folder.file("\($0)/00000-0.png")).bitmap.pixels }
            #expect(Set(pictures).count == 3)
            // The picture knows that its prompt was read so.
            _ = try generate(folder, "d", "--params-from", folder.file("b/00000-0.png"))
            #expect(try folder.bytes("d/00000-0.png") == folder.bytes("b/00000-0.png"))
        },
        Case("a prompt of several chunks", "https://github.com/huggingface/diffusers/issues/3980") { folder in
            let prompt = Array(repeating: "a red star", count: 40).joined(separator: ", ")
            let cut = try generate(folder, "a", "--prompt", prompt)
            #expect(cut.errors.contains("too long"))
            let whole = try generate(folder, "b", "--prompt", prompt, "--emphasis", "--negative-prompt", "dots")
            #expect(whole.status == 0 && !whole.errors.contains("too long"), "\(whole.errors)")
        },
        Case("<lora:…> in a prompt", "https://github.com/heurist-network/miner-release/issues/11") { folder in
            let read = try generate(folder, "a", "--prompt", "a star <lora:shiny:0.8>", "--emphasis")
            #expect(read.status == 0 && read.errors.contains("<lora:shiny:0.8> is left out of the prompt"))
        },
        Case("seed -1", "https://github.com/googlecolab/colabtools/issues/4346") { folder in
            for (number, arguments) in [
                ["probe", "--eps", "--timestep", "5", "--seed", "-1", "-1", "--output", folder.file("p.safetensors")],
                ["capture", "--layer", layer, "--prompts", root + "/Sources/Experiments/Resources/prompts.jsonl", "--seed",
                    "-1", "--store", folder.file("s"), "--dry-run"],
                ["dream", "--layer", layer, "--channel", "1", "--timestep", "5", "--seed", "-1", "7", "--steps", "1",
                    "--output", folder.file("d")],
            ].enumerated() {
                let drawn = try Program.run(arguments + ["--model", model])
                #expect(drawn.status == 0 && drawn.errors.contains("lvo: seed "), "\(drawn.errors)")
                let seeds = drawn.errors.split(separator: "\n").filter { $0.hasPrefix("lvo: seed ") }
                #expect(seeds.count == (number == 0 ? 2 : 1), "\(drawn.errors)")
            }
            let result = try generate(folder, "a", "--prompt", "a star", "--seed", "-1")
            let name = try #require(result.output.split(separator: "/").last?.dropLast(".png\n".count))
            #expect(result.errors.contains("seed \(name.dropFirst("00000-".count))"), "\(result.errors)")
        },
        Case("a LoRA with tensors of no meaning", "https://github.com/Comfy-Org/ComfyUI/issues/8683") { folder in
            let path = try lora(folder, extra: [".reshape_weight"])
            let refused = try generate(folder, "a", "--prompt", "a star", "--lora", path)
            #expect(refused.status == 65 && refused.errors.contains("none of its 3 tensors"), "\(refused.errors)")
        },
        Case("a LoRA of which a part fits", "https://github.com/Comfy-Org/ComfyUI/issues/6397") { folder in
            let path = try lora(folder, extra: [])
            let file = try SafetensorsFile(path: path)
            let stranger = Weight(name: "lora_te2_text_model_x.lora_up.weight", tensor: .zeros([1]))
            let both = folder.file("both.safetensors")
            try SafetensorsWriter.write(file.weights + [stranger], to: both)
            for command in [["generate", "--prompt", "a star", "--steps", "1"], ["embed", "--prompt", "a star"]] {
                let arguments = command + ["--model", model, "--lora", both, "--output"]
                let refused = try Program.run(arguments + [folder.file("no")])
                #expect(refused.status == 65 && refused.errors.contains("1 tensors of LoRA files were not merged"))
                let allowed = try Program.run(arguments + [folder.file(command[0]), "--allow-unused"])
                #expect(allowed.status == 0 && allowed.errors.contains("unused: \(both): \(stranger.name)"))
            }
            let converted = try Program.run("convert", model, "--lora", both, "--output", folder.file("converted"))
            #expect(converted.status == 65)
        },
        Case("tokenizer.json alone", "https://github.com/huggingface/transformers/issues/30524") { folder in
            let changed = try model(in: folder) { path in
                try FileManager.default.removeItem(atPath: path + "/tokenizer")
                try FileManager.default.copyItem(atPath: people + "/tokenizer-json", toPath: path + "/tokenizer")
            }
            _ = try generate(folder, "a", "--prompt", "a large red star")
            let read = try generate(folder, "b", "--prompt", "a large red star", "--model", changed)
            #expect(read.status == 0, "\(read.errors)")
            let pictures = try ["a", "b"].map { try PNG.read(folder.file("\($0)/00000-0.png")).bitmap.pixels }
            #expect(pictures[0] == pictures[1])
            let converted = try Program.run("convert", changed, "--output", folder.file("converted"))
            #expect(converted.status == 0, "\(converted.errors)")
            #expect(try folder.bytes("converted/tokenizer/tokenizer.json") == folder.bytes("model/tokenizer/tokenizer.json"))
        },
        Case("added tokens", "https://github.com/huggingface/diffusers/pull/3068") { folder in
            let changed = try model(in: folder) { path in
                try FileManager.default.removeItem(atPath: path + "/tokenizer")
                try FileManager.default.copyItem(atPath: people + "/tokenizer-added", toPath: path + "/tokenizer")
            }
            let shown = try Program.run("tokenize", "--model", changed, "a <cat-toy>")
            #expect(shown.output.contains("675  <cat-toy>\n") && shown.output.hasSuffix("4 tokens\n"), "\(shown.output)")
            // The table of embeddings has no row for it.
            let refused = try generate(folder, "a", "--prompt", "a <cat-toy>", "--model", changed)
            #expect(refused.status != 0 && refused.errors.contains("token id 675 is outside 0..<675"), "\(refused.errors)")
            let converted = try Program.run("convert", changed, "--output", folder.file("converted"))
            #expect(converted.status == 0, "\(converted.errors)")
            let kept = try folder.bytes("converted/tokenizer/added_tokens.json")
            #expect(try kept == folder.bytes("model/tokenizer/added_tokens.json"))
        },
        Case("no tokenizer", "https://github.com/rinnakk/japanese-stable-diffusion/issues/6") { folder in
            let changed = try model(in: folder) { try FileManager.default.removeItem(atPath: $0 + "/tokenizer") }
            let refused = try generate(folder, "a", "--prompt", "a star", "--model", changed)
            #expect(refused.status == 66 && refused.errors.contains("tokenizer.json, or vocab.json and merges.txt"))
            let converted = try Program.run("convert", changed, "--output", folder.file("converted"))
            #expect(converted.status == 66 && converted.errors.contains("it has no tokenizer"), "\(converted.errors)")
        },
        Case("a textual inversion of several vectors", "https://github.com/huggingface/diffusers/issues/3352") { folder in
            let embedding = people + "/shiny.safetensors"
            let plain = try generate(folder, "a", "--prompt", "a shiny star")
            let made = try generate(folder, "b", "--prompt", "a shiny star", "--embedding", embedding)
            #expect(plain.status == 0 && made.status == 0, "\(made.errors)")
            let pictures = try ["a", "b"].map { try PNG.read(folder.file("\($0)/00000-0.png")).bitmap.pixels }
            #expect(pictures[0] != pictures[1])
            let text = try PNG.text(folder.file("b/00000-0.png")).map(\.text).joined()
            #expect(text.contains("Embeddings: shiny.safetensors"))
            let shown = try Program.run(
                "tokenize", "--model", model, "--embedding", embedding + ":<glow>", "a <glow> star")
            #expect(shown.output.contains("675  <glow>\n") && shown.output.hasSuffix("7 tokens\n"), "\(shown.output)")
        },
        Case("a textual inversion for SDXL", "https://github.com/huggingface/diffusers/issues/7511") { folder in
            let path = folder.file("xl.safetensors")
            try SafetensorsWriter.write([("clip_g", Tensor.zeros([2, 1280])), ("clip_l", .zeros([2, 768]))], to: path)
            let refused = try generate(folder, "a", "--prompt", "a star", "--embedding", path)
            #expect(refused.status == 65 && refused.errors.contains("Stable Diffusion XL"), "\(refused.errors)")
        },
        Case("no VAE", "https://github.com/Comfy-Org/ComfyUI/issues/1401") { folder in
            let changed = try model(in: folder) { try FileManager.default.removeItem(atPath: $0 + "/vae") }
            let refused = try generate(folder, "a", "--prompt", "a star", "--model", changed)
            #expect(refused.status == 66 && refused.errors.contains("it has no VAE") && refused.errors.contains("--vae"))
            let given = try generate(folder, "b", "--prompt", "a star", "--model", changed, "--vae", model + "/vae")
            #expect(given.status == 0, "\(given.errors)")
        },
        Case("no text encoder", "https://github.com/kohya-ss/sd-scripts/issues/855") { folder in
            let changed = try model(in: folder) { try FileManager.default.removeItem(atPath: $0 + "/text_encoder") }
            let refused = try generate(folder, "a", "--prompt", "a star", "--model", changed)
            #expect(refused.status == 66 && refused.errors.contains("it has no text encoder"), "\(refused.errors)")
        },
        Case("NaN in a VAE", "https://github.com/vladmandic/sdnext/issues/374") { folder in
            let changed = try model(in: folder) { path in
                let file = path + "/vae/diffusion_pytorch_model.safetensors"
                let weights = try SafetensorsFile(path: file).weights.map { weight -> Weight in
                    var values = weight.floats()
                    if weight.name == "decoder.conv_out.bias" { values[1] = .nan }
                    return Weight(name: weight.name, tensor: Tensor(weight.shape, values))
                }
                try SafetensorsWriter.write(weights, to: folder.file("new"))
                try FileManager.default.removeItem(atPath: file)
                try FileManager.default.moveItem(atPath: folder.file("new"), toPath: file)
            }
            let refused = try generate(folder, "a", "--prompt", "a star", "--model", changed)
            #expect(refused.status == 65 && refused.errors.contains("tensor decoder.conv_out.bias holds nan (element 1)"))
        },
    ]

    @Test(arguments: cases) func gives(_ person: Case) throws {
        try person.check(TemporaryFolder())
    }

    /// The table of docs/testing.md names every case with its report.
    @Test func theTableIsComplete() throws {
        let table = try TextLines.read(Self.root + "/docs/testing.md")
        for person in Self.cases {
            #expect(table.contains { $0.contains(person.report) && $0.contains(person.name) }, "\(person.name)")
        }
    }
}
