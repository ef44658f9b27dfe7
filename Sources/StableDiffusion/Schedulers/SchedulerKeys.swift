import Files

/// Reading of `scheduler_config.json`.
extension SchedulerConfiguration {
    /// The sampler that a diffusers class is, with `algorithm_type` and `use_karras_sigmas` of the file.
    static func sampler(ofClass name: String, karras: Bool, stochastic: Bool) -> SamplerName? {
        switch name {
        case "PNDMScheduler": .pndm
        case "DDIMScheduler": .ddim
        case "DDPMScheduler": .ddpm
        case "LCMScheduler": .lcm
        case "EulerDiscreteScheduler": .euler
        case "EulerAncestralDiscreteScheduler": .eulerAncestral
        case "HeunDiscreteScheduler": .heun
        case "LMSDiscreteScheduler": .lms
        case "UniPCMultistepScheduler": .uniPC
        case "DPMSolverSDEScheduler": .dpmppSDE
        case "DPMSolverMultistepScheduler" where stochastic: karras ? .dpmpp2MSDEKarras : .dpmpp2MSDE
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
        let defaults = Self.betaDefaults(ofClass: try config.string("_class_name"))
        let start = try config.double("beta_start", default: defaults.start)
        let end = try config.double("beta_end", default: defaults.end)
        guard start > 0, start <= end, end < 1 else {
            throw config.bad("beta_start", expected: "0 < beta_start ≤ beta_end < 1", found: "\(start), \(end)")
        }
        switch try config.string("beta_schedule", default: defaults.schedule) {
        case "linear": return .linear(start, end, count: count)
        case "scaled_linear": return .scaledLinear(start, end, count: count)
        case "squaredcos_cap_v2": return .cosine(count: count)
        case let other:
            throw config.bad("beta_schedule", expected: "linear, scaled_linear or squaredcos_cap_v2", found: other)
        }
    }

    private static func betaDefaults(ofClass name: String) -> (start: Double, end: Double, schedule: String) {
        switch name {
        case "LCMScheduler": (0.00085, 0.012, "scaled_linear")
        case "HeunDiscreteScheduler", "DPMSolverSDEScheduler": (0.00085, 0.012, "linear")
        default: (0.0001, 0.02, "linear")
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

    /// Whether `algorithm_type` names the stochastic equation. DEIS's and UniPC's own types mean the plain one, as when
    /// diffusers makes one scheduler from another's configuration.
    static func isStochastic(_ config: ConfigFile) throws -> Bool {
        switch try config.string("algorithm_type", default: "dpmsolver++") {
        case "dpmsolver++", "deis": return false
        case "sde-dpmsolver++": return true
        case let other:
            throw config.bad("algorithm_type", expected: "dpmsolver++ or sde-dpmsolver++", found: other)
        }
    }

    /// `solver_type` for each of the two solvers, which take the other's types for their own first one.
    static func solverTypes(
        _ config: ConfigFile
    ) throws -> (multistep: DPMSolverSampler.Variant, uniPC: UniPCSampler.Variant) {
        switch try config.string("solver_type", default: "") {
        case "", "midpoint", "logrho", "bh2": return (.midpoint, .bh2)
        case "heun": return (.heun, .bh2)
        case "bh1": return (.midpoint, .bh1)
        case let other: throw config.bad("solver_type", expected: "midpoint, heun, bh1 or bh2", found: other)
        }
    }

    /// A positive number, or nil.
    static func level(_ config: ConfigFile, _ key: String) throws -> Double? {
        guard let value = config.json[key], value != .null else { return nil }
        guard let number = value.double, number > 0 else {
            throw config.bad(key, expected: "a number above 0", found: value.typeName)
        }
        return number
    }

    static func bounded(_ config: ConfigFile, _ key: String, in range: ClosedRange<Int>, default: Int) throws -> Int {
        let value = try config.int(key, default: `default`)
        guard range.contains(value) else {
            throw config.bad(key, expected: "\(range.lowerBound) to \(range.upperBound)", found: "\(value)")
        }
        return value
    }

    /// `disable_corrector`: indices of calls.
    static func indices(_ config: ConfigFile, _ key: String) throws -> Set<Int> {
        guard let value = config.json[key], value != .null else { return [] }
        let numbers = value.array?.compactMap(\.int) ?? []
        guard let list = value.array, numbers.count == list.count else {
            throw config.bad(key, expected: "a list of whole numbers", found: value.typeName)
        }
        return Set(numbers)
    }
}
