import StableDiffusion
import Tensors
import Testing

@Suite struct ParametersTextTests {
    /// As AUTOMATIC1111's web interface writes it.
    @Test func aWebInterfacesText() throws {
        let text = """
            a cat, sitting on a mat
            second line
            Negative prompt: dog, blurry
            also this
            Steps: 20, Sampler: DPM++ 2M Karras, CFG scale: 7, Seed: 2833049034, Size: 512x768, \
            Model hash: 6ce0161689, Model: v1-5-pruned-emaonly, Denoising strength: 0.75, Clip skip: 2, \
            Lora hashes: "a: 1, b: 2", Version: v1.6.0
            """
        let parameters = try ParametersText.parse(text, name: "x.png")
        #expect(parameters.prompt == "a cat, sitting on a mat\nsecond line")
        #expect(parameters.negativePrompt == "dog, blurry\nalso this")
        #expect(parameters.steps == 20)
        #expect(parameters.sampler == .dpmpp2MKarras)
        #expect(parameters.guidanceScale == 7)
        #expect(parameters.seed == 2_833_049_034)
        #expect(parameters.width == 512 && parameters.height == 768)
        #expect(parameters.clipSkip == 1, "their 2 is the layer before the last")
        #expect(parameters.strength == 0.75)
    }

    @Test(arguments: [
        ("DPM++ 2M, Schedule type: Karras", SamplerName.dpmpp2MKarras),
        ("DPM++ 2M, Schedule type: Automatic", .dpmpp2M),
        ("Euler a, Schedule type: Automatic", .eulerAncestral), ("Euler", .euler), ("PLMS", .pndm), ("DDIM", .ddim),
    ]) func samplers(text: String, expected: SamplerName) throws {
        let parameters = try ParametersText.parse("p\nSteps: 5, Seed: 1, Sampler: \(text)", name: "x.png")
        #expect(parameters.sampler == expected)
    }

    @Test(arguments: SamplerName.allCases) func whatIsWrittenIsRead(sampler: SamplerName) throws {
        var parameters = GenerationParameters()
        parameters.prompt = "a \"quoted\", thing: 3\nand ünïcödé"
        parameters.negativePrompt = "no, nothing"
        parameters.steps = 33
        parameters.guidanceScale = 7.25
        parameters.sampler = sampler
        parameters.seed = .max
        parameters.clipSkip = 2
        parameters.strength = 0.3
        (parameters.width, parameters.height) = (640, 384)
        let text = ParametersText.text(
            parameters, sampler: .pndm, width: 640, height: 384, usesPicture: true,
            extra: [("Model", "a, \"b\"\\c\nd"), ("Version", "1")])
        #expect(try ParametersText.parse(text, name: "x.png") == parameters)
    }

    @Test func theModelsOwnSamplerIsWrittenByName() throws {
        let text = ParametersText.text(GenerationParameters(), sampler: .ddim, width: 8, height: 8)
        #expect(text == "\nSteps: 50, Sampler: DDIM, CFG scale: 7.5, Seed: 0, Size: 8x8")
        #expect(try ParametersText.parse(text, name: "x").sampler == .ddim)
    }

    /// Fewer than three pairs in the last line: it belongs to the prompt.
    @Test(arguments: ["", "just a prompt", "time: noon, place: here", "line\nratio: 1"])
    func textWithoutParameters(text: String) throws {
        var expected = GenerationParameters()
        expected.prompt = text
        #expect(try ParametersText.parse(text, name: "x.png") == expected)
    }

    @Test(arguments: [
        "p\nSteps: many, Sampler: Euler, Seed: 1", "p\nSteps: 5, Sampler: DEIS, Seed: 1",
        "p\nSteps: 5, Sampler: Euler, Size: wide", "p\nSteps: 5, Seed: -1, CFG scale: 7",
        "p\nSteps: 5, Seed: 1, Sampler: Euler, Schedule type: Beta",
    ]) func whatCannotBeRepeatedIsNamed(text: String) {
        #expect {
            try ParametersText.parse(text, name: "x.png")
        } throws: {
            "\($0)".hasPrefix("x.png: parameters: ")
        }
    }

    /// Texts come from strangers' files: nothing in them may trap.
    @Test func brokenTextsDoNotTrap() throws {
        var random = CounterRandom(seed: 1, purpose: .selection)
        let alphabet = Array("aS:,\"\\\nx1 e")
        for round in 0..<3000 {
            random = random.at(step: UInt64(round))
            let text = String((0..<40).map { alphabet[random.integer($0, in: 0...alphabet.count - 1)] })
            _ = try? ParametersText.parse("Steps: 1, Seed: 2, Size: 3x4" + text, name: "x")
        }
    }

    /// Found by the campaign: each once ended the program, or later did.
    @Test(arguments: [
        "Clip skip: -9223372036854775808", "Denoising strength: nan", "Denoising strength: 1e300", "CFG scale: inf",
        "Steps: -1", "Seed: 18446744073709551616",
    ]) func numbersThatCannotBe(pair: String) throws {
        #expect { try ParametersText.parse("p\nA: 1, B: 2, \(pair)", name: "x.png") } throws: {
            "\($0)".contains("x.png: parameters: \(pair.prefix { $0 != ":" }) is")
        }
    }

    @Test func linesMayEndAsOnWindows() throws {
        let text = "a\r\nb\r\nNegative prompt: c\r\nSteps: 3, Seed: 4, Size: 8x16\r\n"
        let parameters = try ParametersText.parse(text, name: "x.png")
        #expect(parameters.prompt == "a\nb" && parameters.negativePrompt == "c")
        #expect(parameters.steps == 3 && parameters.height == 16)
    }

    @Test func aChosenSamplerReplacesOneThatIsNotImplemented() throws {
        let text = "p\nSteps: 5, Sampler: DEIS, Seed: 1"
        #expect { try ParametersText.parse(text, name: "x.png") } throws: { "\($0)".contains("'DEIS' is not implemented") }
        #expect(try ParametersText.parse(text, name: "x.png", sampler: .euler).sampler == .euler)
    }
}
