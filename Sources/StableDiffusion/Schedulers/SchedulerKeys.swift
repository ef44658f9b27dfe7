import Files

/// Reading of `scheduler_config.json`.
extension SchedulerConfiguration {
    static func sampler(ofClass name: String, karras: Bool) -> SamplerName? {
        switch name {
        case "PNDMScheduler": .pndm
        case "DDIMScheduler": .ddim
        case "EulerDiscreteScheduler": .euler
        case "EulerAncestralDiscreteScheduler": .eulerAncestral
        case "DPMSolverMultistepScheduler": karras ? .dpmpp2MKarras : .dpmpp2M
        default: nil
        }
    }

    /// β from `trained_betas`, or from `beta_schedule`, `beta_start`, `beta_end`, with diffusers' defaults.
    static func schedule(_ config: ConfigFile) throws -> NoiseSchedule {
        if let trained = config.json["trained_betas"], trained != .null {
            guard let betas = trained.array?.compactMap(\.double), betas.count == trained.array?.count, betas.count > 1,
                betas.allSatisfy({ $0 > 0 && $0 < 1 })
            else {
                throw config.bad("trained_betas", expected: "numbers between 0 and 1", found: trained.typeName)
            }
            return NoiseSchedule(betas: betas.map { Float($0) })
        }
        let count = try config.int("num_train_timesteps", default: 1000)
        guard (2...100_000).contains(count) else {
            throw config.bad("num_train_timesteps", expected: "2 to 100000", found: "\(count)")
        }
        let start = try config.double("beta_start", default: 0.0001)
        let end = try config.double("beta_end", default: 0.02)
        guard start > 0, start <= end, end < 1 else {
            throw config.bad("beta_start", expected: "0 < beta_start ≤ beta_end < 1", found: "\(start), \(end)")
        }
        switch try config.string("beta_schedule", default: "linear") {
        case "linear": return .linear(start, end, count: count)
        case "scaled_linear": return .scaledLinear(start, end, count: count)
        case let other: throw config.bad("beta_schedule", expected: "linear or scaled_linear", found: other)
        }
    }

    /// The value of `key` as a case of `T`; nil if absent or null.
    static func choice<T: RawRepresentable & CaseIterable>(
        _ config: ConfigFile, _ key: String
    ) throws -> T? where T.RawValue == String {
        guard let value = config.json[key], value != .null else { return nil }
        if let choice = value.string.flatMap(T.init(rawValue:)) { return choice }
        let known = T.allCases.map(\.rawValue).joined(separator: " or ")
        throw config.bad(key, expected: known, found: value.string ?? value.typeName)
    }

    static func flag(_ config: ConfigFile, _ key: String) throws -> Bool? {
        guard let value = config.json[key], value != .null else { return nil }
        guard let flag = value.bool else { throw config.bad(key, expected: "true or false", found: value.typeName) }
        return flag
    }

    /// Settings under which diffusers computes something that is not implemented here.
    static func refuseWhatIsNotImplemented(_ config: ConfigFile) throws {
        let switches = [
            "thresholding", "rescale_betas_zero_snr", "use_exponential_sigmas", "use_beta_sigmas", "use_lu_lambdas",
            "use_flow_sigmas", "euler_at_final",
        ]
        for key in switches where try config.bool(key, default: false) {
            throw config.bad(key, expected: "false (true is not implemented)", found: "true")
        }
        let only = [
            "interpolation_type": "linear", "timestep_type": "discrete", "final_sigmas_type": "zero",
            "algorithm_type": "dpmsolver++", "solver_type": "midpoint",
        ]
        for (key, value) in only.sorted(by: { $0.key < $1.key }) {
            let found = try config.string(key, default: value)
            guard found == value else { throw config.bad(key, expected: "\(value) (nothing else yet)", found: found) }
        }
        let floor = try config.double("lambda_min_clipped", default: -.infinity)
        guard floor == -.infinity else {
            throw config.bad("lambda_min_clipped", expected: "-Infinity (nothing else yet)", found: "\(floor)")
        }
        let order = try config.int("solver_order", default: 2)
        guard order == 2 else { throw config.bad("solver_order", expected: "2 (nothing else yet)", found: "\(order)") }
    }
}
