import Checkpoints
import Files
import Tensors
import TestSupport
import Testing

/// Options that would be ignored, and outputs that cannot be written, end a command before its work, with one line.
@Suite struct RefusalTests {
    private static func expect(_ arguments: String, _ status: Int32, _ words: String) throws {
        let result = try Program.run(arguments.split(separator: " ").map(String.init))
        #expect(result.status == status, "\(arguments): \(result.errors)")
        #expect(result.errorLines.count == 1 && result.errors.contains(words), "\(arguments): \(result.errors)")
        #expect(result.output.isEmpty, "\(arguments)")
    }

    @Test(arguments: [
        ("--kind topk --l1 0.1", "--l1 is for --kind relu"), ("--kind relu --l0 0.1", "--l0 is for --kind jumprelu"),
        ("--bandwidth 0.1", "--bandwidth is for --kind jumprelu, not batch_topk"),
        ("--kind relu --k 4", "--k is for --kind topk, batch_topk, sample_topk"), ("--buffer 100000", "--buffer"),
        ("--sampler-steps 3", "--sampler-steps"), ("--cfg-scale 3", "--cfg-scale"), ("--half conditional", "--half"),
        ("--layer x", "--layer"), ("--prompts x", "--prompts"), ("--sampler ddim", "--sampler"),
        ("--latents 8 --expansion 4", "exclude each other"),
    ]) func trainingRefusesWhatItWouldIgnore(options: String, words: String) throws {
        try Self.expect("sae train --activations nowhere --steps 1 --output nowhere \(options)", 2, words)
    }

    @Test(arguments: [
        ("bench sae --auxk --dead 3", "exclude each other"),
        ("bench sae --batch 65536 --latents 65536", "at most 65535"),
        ("embed --model embedded --output x --clip-skip=-1", "--clip-skip -1"),
        ("probe --model embedded --eps --seed 1 --timestep 1 --output x --clip-skip=-1", "--clip-skip -1"),
        ("probe --model embedded --eps --seed 1 --timestep 1 --output x --context c --clip-skip 1", "--clip-skip"),
        ("sae eval --sae x --activations x --output x --pictures 3", "--pictures"),
        ("sae eval --sae x --activations x --output x --timesteps 3", "--timesteps"),
        ("sae convert --input x --output x --to published --layer x", "--layer is for"),
        ("generate --model embedded --sae embedded --output x", "--sae is for"),
        ("synthesize --architecture sd15 --output x", "--architecture"),
        ("probe --model embedded --eps --seed 1 --timestep 1 --output x --precision half", "--precision"),
        ("layers --model embedded --precision bf16", "--precision belongs to --plan"),
    ]) func othersToo(command: String, words: String) throws { try Self.expect(command, 2, words) }

    /// `FILE` stands for a file, `FOLDER` for a folder, `PROMPTS` for a file of prompts.
    @Test(arguments: [
        "capture --model embedded --layer mid_block.attentions.0 --prompts PROMPTS --store FILE",
        "capture --model embedded --layer mid_block.attentions.0 --prompts PROMPTS --store FILE/below",
        "sae train --model embedded --layer mid_block.attentions.0 --prompts PROMPTS --steps 1 --output FILE",
        "sae eval --sae embedded --activations nowhere --output FILE", "generate --model embedded --output FILE",
        "dream --model embedded --layer mid_block.attentions.0 --channel 1 --timestep 1 --output FILE",
        "demo --output FILE", "study init FILE", "generate --model embedded --output FILE/below",
        "synthesize --output FILE", "convert FOLDER --output FILE",
        "sae convert --input FOLDER --to saelens --output FILE",
        "embed --model embedded --output FILE", "embed --model embedded --overwrite --output FOLDER",
        "embed --model embedded --output FOLDER/no/x", "decode --model embedded --latent LATENT --output FILE",
        "encode --model embedded no.png --output FILE",
        "probe --model embedded --eps --seed 1 --timestep 1 --overwrite --output FOLDER",
    ]) func outputsAreCheckedBeforeTheWork(command: String) throws {
        let folder = try TemporaryFolder()
        let file = try folder.write("file", [1])
        let prompts = try folder.write("prompts.txt", Array("a red star\n".utf8))
        try OutputFile.makeFolder(folder.file("sub"))
        let latent = folder.file("latent.safetensors")
        try SafetensorsWriter.write([("latent", Tensor.zeros([1, 4, 8, 8]))], to: latent)
        let line = command.replacing("FILE", with: file).replacing("FOLDER", with: folder.file("sub"))
            .replacing("PROMPTS", with: prompts).replacing("LATENT", with: latent)
        try Self.expect(line, 73, folder.path)
        #expect(try folder.bytes("file") == [1])
        #expect(try folder.contents == ["file", "latent.safetensors", "prompts.txt", "sub"])
    }

    @Test func thePlanOfLayersAsJSON() throws {
        let result = try Program.run("layers", "--model", "embedded", "--plan", "--json")
        let lines = try result.output.split(separator: "\n").map { try JSON.parse(String($0)) }
        #expect(lines.count > 10 && lines[0]["name"] == "conv_in" && lines[0]["stride"] == 1)
    }
}
