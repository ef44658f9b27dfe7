import Files
import Foundation
import StableDiffusion
import Tensors
import Testing

/// Every key of a scheduler's configuration does what its table says (`SchedulerSetting.all`, docs/models.md).
@Suite struct SchedulerSettingTests {
    private static let base: [(String, JSON)] = [
        ("beta_schedule", "scaled_linear"), ("beta_start", 0.00085), ("beta_end", 0.012), ("skip_prk_steps", true),
        ("clip_sample", false),
    ]

    /// Values that differ from every class's default, with what they need beside them.
    private static let examples: [String: [(String, JSON)]] = [
        "num_train_timesteps": [("num_train_timesteps", 900)], "beta_start": [("beta_start", 0.001)],
        "beta_end": [("beta_end", 0.02)], "beta_schedule": [("beta_schedule", "linear")],
        "trained_betas": [("trained_betas", .array((0..<1000).map { .number(0.001 + 1e-5 * Double($0)) }))],
        "prediction_type": [("prediction_type", "v_prediction")],
        "rescale_betas_zero_snr": [("rescale_betas_zero_snr", true)],
        "timestep_spacing": [("timestep_spacing", "trailing")],
        "steps_offset": [("steps_offset", 3), ("timestep_spacing", "leading")],
        "set_alpha_to_one": [("set_alpha_to_one", false)], "clip_sample": [("clip_sample", true), ("clip_sample_range", 0.5)],
        "clip_sample_range": [("clip_sample", true), ("clip_sample_range", 0.3)],
        "use_karras_sigmas": [("use_karras_sigmas", true)], "use_exponential_sigmas": [("use_exponential_sigmas", true)],
        "sigma_min": [("use_karras_sigmas", true), ("sigma_min", 0.2)],
        "sigma_max": [("use_karras_sigmas", true), ("sigma_max", 8.0)],
        "final_sigmas_type": [("final_sigmas_type", "sigma_min")], "solver_order": [("solver_order", 3)],
        "solver_type": [("solver_type", "heun")],
        "lower_order_final": [("lower_order_final", false), ("final_sigmas_type", "sigma_min"), ("solver_order", 3)],
        "euler_at_final": [("euler_at_final", true), ("final_sigmas_type", "sigma_min"), ("lower_order_final", false)],
        "disable_corrector": [("disable_corrector", [1])], "variance_type": [("variance_type", "fixed_large")],
        "original_inference_steps": [("original_inference_steps", 100)], "timestep_scaling": [("timestep_scaling", 0.01)],
        "dynamic_thresholding_ratio": [("dynamic_thresholding_ratio", 0.5)], "sample_max_value": [("sample_max_value", 3.0)],
        "flow_shift": [("flow_shift", 3.0)], "shift_terminal": [("shift_terminal", 0.1)],
        "time_shift_type": [("time_shift_type", "linear")], "noise_sampler_seed": [("noise_sampler_seed", 4)],
        "tensor_format": [("tensor_format", "pt")], "_diffusers_version": [("_diffusers_version", "0.42.0")],
        "_name_or_path": [("_name_or_path", "x")],
    ]

    private static func configuration(_ keys: [(String, JSON)], _ name: SamplerName) throws -> SchedulerConfiguration {
        var object = JSONObject()
        object["_class_name"] = name == .ddpm ? "DDPMScheduler" : "EulerDiscreteScheduler"
        for (key, value) in base + keys { object[key] = value }
        return try SchedulerConfiguration(ConfigFile(file: "scheduler_config.json", json: .object(object)))
    }

    /// Numbers that six steps leave, and the time steps.
    private static func numbers(_ keys: [(String, JSON)], _ name: SamplerName) throws -> [Float] {
        let configuration = try configuration(keys, name)
        var sampler = try configuration.sampler(name, steps: 6)
        var generator = TorchGenerator(seed: 1)
        var x = generator.randn([1, 1, 4, 8])
        for call in sampler.timesteps.indices {
            let output = Tensor(x.shape, x.array.map { 0.3 * $0 + sin($0) })
            x = sampler.step(output, at: call, sample: x) { generator.randn([1, 1, 4, 8]) }
        }
        return x.array + sampler.timesteps
    }

    @Test(arguments: SchedulerSetting.all.filter { if case .used = $0.treatment { !$0.samplers.isEmpty } else { false } })
    func whatIsUsedChangesTheNumbersOfItsSamplersAlone(_ setting: SchedulerSetting) throws {
        var example = try #require(Self.examples[setting.key])
        for name in SamplerName.allCases {
            if setting.key == "solver_type" { example = [("solver_type", name == .uniPC ? "bh1" : "heun")] }
            if setting.key == "set_alpha_to_one" { example = [(setting.key, .bool(name == .pndm))] }
            if setting.key == "rescale_betas_zero_snr", !setting.samplers.contains(name) {
                #expect(throws: SimpleFailure.self) { try Self.numbers(example, name) }
                continue
            }
            let others = example.filter { $0.0 != setting.key }
            let isChanged = try Self.numbers(example, name) != Self.numbers(others, name)
            #expect(isChanged == setting.samplers.contains(name), "\(setting.key) \(name.rawValue)")
        }
    }

    @Test(arguments: SchedulerSetting.all) func whatIsHarmlessChangesNothingAndTheRestIsRefused(
        _ setting: SchedulerSetting
    ) throws {
        switch setting.treatment {
        case .used: break
        case .harmless:
            let example = try #require(Self.examples[setting.key])
            for name in SamplerName.allCases {
                #expect(try Self.numbers(example, name) == Self.numbers([], name), "\(setting.key) \(name.rawValue)")
            }
        case .only(let value):
            let other: JSON =
                value.bool.map { .bool(!$0) } ?? (value == .null ? ["x": 1] : value.double != nil ? -5.1 : "other")
            for name in setting.samplers {
                #expect { try Self.numbers([(setting.key, other)], name) } throws: { "\($0)".contains(setting.key) }
            }
            #expect(try Self.numbers([(setting.key, value)], .ddim) == Self.numbers([], .ddim))
        }
    }

    @Test func aKeyThatIsNotInTheTableIsRefusedByName() throws {
        #expect { try Self.configuration([("stochastic_shift", 3)], .ddim) } throws: {
            "\($0)".contains("stochastic_shift")
        }
        _ = try Self.configuration([("some_switch", false), ("some_value", .null)], .ddim)
    }

    /// The table stands in the documentation as it stands in the code.
    @Test func theDocumentationHasEveryRow() throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../..")
        let text = try String(contentsOf: root.appendingPathComponent("docs/models.md"), encoding: .utf8)
        for setting in SchedulerSetting.all { #expect(text.contains(setting.row), "\(setting.row)") }
    }
}
