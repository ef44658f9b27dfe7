import Files

/// One key of `scheduler_config.json`: what becomes of it here. The table of docs/models.md is made of these.
public struct SchedulerSetting: Sendable {
    /// What is done with a key's value.
    public enum Treatment: Sendable {
        /// Read as diffusers reads it.
        case used
        /// Any value but this one is refused by name: it would change numbers in a way that is not implemented.
        case only(JSON)
        /// Read by no sampler here; why that is right.
        case harmless(String)
    }

    /// As `scheduler_config.json` spells it.
    public let key: String
    /// Whether the value is used, ignored or refused.
    public let treatment: Treatment
    /// The samplers whose numbers it changes; others leave it alone, as their diffusers classes do.
    public let samplers: [SamplerName]

    private init(_ key: String, _ treatment: Treatment, _ samplers: [SamplerName] = SamplerName.allCases) {
        self.key = key
        self.treatment = treatment
        self.samplers = samplers
    }

    private static let solvers: [SamplerName] = [.dpmpp2M, .dpmpp2MKarras, .dpmpp2MSDE, .dpmpp2MSDEKarras]
    /// Karras levels of the solvers lie between the ends of the training schedule, whatever the time steps.
    private static let spaced = SamplerName.allCases.filter { ![.lcm, .dpmpp2MKarras, .dpmpp2MSDEKarras].contains($0) }
    static let clipping: [SamplerName] = [.ddim, .ddpm, .lcm, .heun]
    static let rescaling: [SamplerName] = [.ddim, .ddpm, .lcm, .euler, .eulerAncestral, .uniPC] + solvers

    /// Every key that a diffusers 0.42 scheduler of Stable Diffusion 1.x has.
    public static let all: [SchedulerSetting] = [
        .init("num_train_timesteps", .used), .init("beta_start", .used), .init("beta_end", .used),
        .init("beta_schedule", .used), .init("trained_betas", .used), .init("prediction_type", .used),
        .init("rescale_betas_zero_snr", .used, rescaling), .init("timestep_spacing", .used, spaced),
        .init("steps_offset", .used, spaced), .init("set_alpha_to_one", .used, [.pndm, .ddim]),
        .init("clip_sample", .used, clipping), .init("clip_sample_range", .used, clipping),
        .init("use_karras_sigmas", .used, [.euler, .heun, .lms, .uniPC, .dpmppSDE]),
        .init("use_exponential_sigmas", .used, [.euler, .heun, .lms, .uniPC, .dpmppSDE, .dpmpp2M, .dpmpp2MSDE]),
        .init("sigma_min", .used, [.euler, .uniPC]), .init("sigma_max", .used, [.euler, .uniPC]),
        .init("final_sigmas_type", .used, [.euler, .uniPC] + solvers),
        .init("algorithm_type", .used, []), .init("solver_order", .used, [.uniPC] + solvers),
        .init("solver_type", .used, [.uniPC] + solvers), .init("lower_order_final", .used, [.uniPC] + solvers),
        .init("euler_at_final", .used, [.dpmpp2M, .dpmpp2MSDE]), .init("disable_corrector", .used, [.uniPC]),
        .init("variance_type", .used, [.ddpm]), .init("original_inference_steps", .used, [.lcm]),
        .init("timestep_scaling", .used, [.lcm]),
        .init("skip_prk_steps", .only(true), [.pndm]), .init("thresholding", .only(false)),
        .init("use_beta_sigmas", .only(false)), .init("use_lu_lambdas", .only(false)),
        .init("use_flow_sigmas", .only(false)), .init("use_dynamic_shifting", .only(false)),
        .init("interpolation_type", .only("linear")), .init("timestep_type", .only("discrete")),
        .init("lambda_min_clipped", .only(.number(-.infinity))), .init("predict_x0", .only(true)),
        .init("solver_p", .only(.null)),
        .init("dynamic_thresholding_ratio", .harmless("read with thresholding alone")),
        .init("sample_max_value", .harmless("read with thresholding alone")),
        .init("flow_shift", .harmless("read with use_flow_sigmas alone")),
        .init("shift_terminal", .harmless("read with use_flow_sigmas alone")),
        .init("time_shift_type", .harmless("read with use_dynamic_shifting alone")),
        .init("noise_sampler_seed", .harmless("the seed of a picture is given with it")),
        .init("tensor_format", .harmless("of diffusers before 0.3")),
        .init("_class_name", .used, []), .init("_diffusers_version", .harmless("a note")),
        .init("_name_or_path", .harmless("a note")),
    ]

    /// A row of the table: key, treatment, samplers.
    public var row: String {
        let names = samplers.count == SamplerName.allCases.count ? "all" : samplers.map(\.rawValue).joined(separator: ", ")
        return switch treatment {
        case .used: "| `\(key)` | used | \(samplers.isEmpty ? "names the sampler" : names) |"
        case .only(let value): "| `\(key)` | refused unless \(value.text) | \(names) |"
        case .harmless(let reason): "| `\(key)` | harmless: \(reason) | |"
        }
    }

    /// - Throws: `FileFailure.badKey` for a value that is not implemented, and for a key that is not in the table and
    ///   neither null nor false: it may change numbers.
    static func check(_ config: ConfigFile) throws {
        let settings = Dictionary(uniqueKeysWithValues: all.map { ($0.key, $0) })
        for (key, value) in config.json.object ?? JSONObject() where value != .null {
            guard let setting = settings[key] else {
                if value == false { continue }
                throw config.bad(key, expected: "a key of a scheduler that is implemented", found: value.text)
            }
            guard case .only(let allowed) = setting.treatment, setting.samplers.count > 1 else { continue }
            guard value == allowed else {
                throw config.bad(key, expected: "\(allowed.text) (nothing else is implemented)", found: value.text)
            }
        }
    }
}

extension JSON {
    /// As it stands in a file, short values only.
    fileprivate var text: String {
        switch self {
        case .number(let value) where value == -.infinity: "-Infinity"
        case .null: "null"
        default: string ?? bool.map { "\($0)" } ?? double.map { "\($0)" } ?? typeName
        }
    }
}
