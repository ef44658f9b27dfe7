import Checkpoints
import Files
import Foundation
import StableDiffusion
import Tensors
import Testing

@Suite struct SchedulerTests {
    private static let names: [(key: String, sampler: SamplerName)] =
        [.pndm, .ddim, .euler, .eulerAncestral, .dpmpp2M, .dpmpp2MKarras].map { ($0.rawValue, $0) } + [("ddim_v", .ddim)]

    /// The reference's configurations hold `-Infinity`, as real ones do.
    private static let pythonJSON: JSON.Limits = {
        var limits = JSON.Limits()
        limits.negativeInfinity = true
        return limits
    }()

    /// The analytic model that the reference trajectories were made with: ε(x, t) = 0.3x + 0.2 sin(2x + t/150).
    private static func model(_ x: Tensor, _ timestep: Float) -> Tensor {
        Tensor(x.shape, x.array.map { 0.3 * $0 + 0.2 * sin(2 * $0 + timestep / 150) })
    }

    private static func configuration(_ golden: JSON, run: String) throws -> SchedulerConfiguration {
        var object = try #require(golden["runs"]?[run]?["config"]?.object)
        object["_class_name"] = "PNDMScheduler"
        return try SchedulerConfiguration(ConfigFile(file: "scheduler_config.json", json: .object(object)))
    }

    @Test(arguments: names, [20, 50]) func trajectory(name: (key: String, sampler: SamplerName), steps: Int) throws {
        let tensors = try SafetensorsFile(path: fixture("schedulers.safetensors"))
        let golden = try JSON.read(fixture("schedulers.json"), limits: Self.pythonJSON)
        let run = "\(name.key)/\(steps)"
        var sampler = try Self.configuration(golden, run: run).sampler(name.sampler, steps: steps)
        let expectedTimesteps = try #require(golden["runs"]?[run]?["timesteps"]?.array).compactMap(\.double)
        #expect(sampler.timesteps == expectedTimesteps.map { Float($0) })

        var generator = TorchGenerator(seed: 5)
        let scale = sampler.initialNoiseSigma
        #expect(Double(scale) == golden["runs"]?[run]?["init_noise_sigma"]?.double)
        var x = Tensor([1, 4, 8, 8], generator.randn([1, 4, 8, 8]).array.map { $0 * scale })
        var compared = 0
        func compare(_ point: String) throws {
            guard tensors.names.contains("\(run)/\(point)") else { return }
            let expected = try tensors.weight("\(run)/\(point)").floats()
            #expect(relativeError(x.array, expected) < 1e-4, "\(run)/\(point)")
            compared += 1
        }
        try compare("start")
        for call in sampler.timesteps.indices {
            let input = Tensor(x.shape, x.array.map { $0 * sampler.inputScale(at: call) })
            let output = Self.model(input, sampler.timesteps[call])
            x = sampler.step(output, at: call, sample: x) { generator.randn([1, 4, 8, 8]) }
            try compare("after\(call + 1)")
        }
        try compare("end")
        #expect(compared == 6, "every recorded point was compared")
    }

    @Test func alphasAndAddedNoise() throws {
        let tensors = try SafetensorsFile(path: fixture("schedulers.safetensors"))
        let schedule = NoiseSchedule.stableDiffusion15
        #expect(largestDifference(schedule.alphasCumprod, try tensors.weight("alphas_cumprod").floats()) == 0)
        func tensor(_ name: String) throws -> Tensor { Tensor([2, 4, 8, 8], try tensors.weight(name).floats()) }
        let (x0, noise) = (try tensor("add_noise/x0"), try tensor("add_noise/noise"))
        for timestep in [0, 1, 250, 999] {
            let noisy = schedule.addNoise(x0, noise: noise, timestep: timestep)
            #expect(relativeError(noisy.array, try tensor("add_noise/\(timestep)").array) < 1e-6)
        }
    }

    /// A file for PNDM with leading spacing: the keys it has are carried over to Euler, which else takes linspace.
    @Test func keysAreCarriedOverToAnotherSampler() throws {
        let keys: [(String, JSON)] = [
            ("_class_name", "PNDMScheduler"), ("beta_schedule", "scaled_linear"), ("beta_start", 0.00085),
            ("beta_end", 0.012), ("steps_offset", 1), ("skip_prk_steps", true),
        ]
        func sampler(_ extra: [(String, JSON)], _ name: SamplerName?) throws -> any Sampler {
            try SchedulerConfiguration(ConfigFile(file: "f", json: JSON(keys + extra))).sampler(name, steps: 10)
        }
        #expect(try sampler([], nil).timesteps == [901, 801, 801, 701, 601, 501, 401, 301, 201, 101, 1])
        #expect(try sampler([], .euler).timesteps == (0..<10).reversed().map { Float($0) * 111 })
        let leading: [(String, JSON)] = [("timestep_spacing", "leading")]
        #expect(try sampler(leading, .euler).timesteps == (0..<10).reversed().map { Float($0) * 100 + 1 })
        #expect(try sampler(leading, .dpmpp2M).timesteps == (1...10).reversed().map { Float($0) * 90 + 1 })
        let trailing: [(String, JSON)] = [("timestep_spacing", "trailing")]
        #expect(try sampler(trailing, .ddim).timesteps == (1...10).reversed().map { Float($0) * 100 - 1 })
        // Only leading adds the clean picture's unit variance to it.
        let start = try sampler(leading, .euler)
        #expect(abs(start.initialNoiseSigma * start.inputScale(at: 0) - 1) < 1e-6)
        #expect(try sampler(trailing, .euler).initialNoiseSigma == sampler([], .euler).initialNoiseSigma)
    }

    /// Image to image starts from √ᾱ x + √(1−ᾱ) ε of the first step's time, in Euler's units divided by √ᾱ.
    @Test func imageToImageStart() throws {
        let configuration = SchedulerConfiguration.stableDiffusion15()
        let (x, noise) = (Tensor([1, 1, 1, 2], [1, -2]), Tensor([1, 1, 1, 2], [0.5, 3]))
        let euler = try configuration.sampler(.euler, steps: 10)
        let (signal, share) = configuration.schedule.shares(at: 666)
        let expected = [signal + share * 0.5, -2 * signal + share * 3]
        let scaled = euler.addNoise(x, noise: noise, at: 3).array.map { $0 * euler.inputScale(at: 3) }
        #expect(largestDifference(scaled, expected) < 1e-5)
        let solver = try configuration.sampler(.dpmpp2M, steps: 3)
        #expect(solver.timesteps[1] == 666)
        #expect(largestDifference(solver.addNoise(x, noise: noise, at: 1).array, expected) < 1e-5)
    }

    private static let badKeys: [(key: String, value: JSON)] = [
        ("beta_schedule", "sigmoid"), ("prediction_type", "sample"), ("thresholding", true), ("solver_order", 4),
        ("algorithm_type", "dpmsolver"), ("timestep_spacing", 3), ("num_train_timesteps", 0),
        ("beta_start", -1), ("trained_betas", ["a"]), ("steps_offset", 5000), ("_class_name", 7),
    ]

    @Test(arguments: badKeys) func badKeysAreNamed(key: String, value: JSON) {
        var object = JSONObject()
        object["_class_name"] = "PNDMScheduler"
        object[key] = value
        #expect {
            try SchedulerConfiguration(ConfigFile(file: "scheduler_config.json", json: .object(object)))
        } throws: {
            "\($0)".contains("scheduler_config.json") && "\($0)".contains(key)
        }
    }

    @Test func infinityIsReadOnlyWhereItIsExpected() throws {
        #expect(throws: JSONFailure.self) { try JSON.parse("-Infinity") }
        #expect(try JSON.parse("[-Infinity, -1]", limits: Self.pythonJSON) == [.number(-.infinity), -1])
        for text in ["Infinity", "-Inf", "NaN"] {
            #expect(throws: JSONFailure.self) { try JSON.parse(text, limits: Self.pythonJSON) }
        }
    }

    @Test func impossibleRequests() throws {
        let configuration = SchedulerConfiguration.stableDiffusion15()
        #expect(throws: SimpleFailure.self) { try configuration.sampler(steps: 0) }
        #expect(throws: SimpleFailure.self) { try configuration.sampler(steps: 1000) }
        let unknown = JSON([("_class_name", "DEISMultistepScheduler")])
        let other = try SchedulerConfiguration(ConfigFile(file: "f", json: unknown))
        #expect(throws: SimpleFailure.self) { try other.sampler(steps: 10) }
        #expect(try other.sampler(.ddim, steps: 10).timesteps.count == 10)
        let prk = JSON([("_class_name", "PNDMScheduler"), ("skip_prk_steps", false)])
        #expect(throws: SimpleFailure.self) {
            try SchedulerConfiguration(ConfigFile(file: "f", json: prk)).sampler(steps: 10)
        }
    }
}
