import Files

/// `scheduler_config.json`, from which any of the samplers can be made.
///
/// A key that the file has is carried over to whichever sampler is chosen; an absent one takes that sampler's own
/// default, as when diffusers makes one scheduler from another's configuration.
public struct SchedulerConfiguration: Sendable {
    /// As the model was trained.
    public let schedule: NoiseSchedule
    /// The sampler the file is for; nil for a class that is not one of ours.
    public let samplerName: SamplerName?
    /// What the U-Net's output means.
    public var prediction: PredictionType
    let file: String
    private let className: String
    private(set) var stepsOffset = 0
    private(set) var setAlphaToOne: Bool?
    private(set) var clipSample: Bool?
    private(set) var clipRange: Float = 1
    private(set) var spacing: TimestepSpacing?
    private(set) var sigmaSpacing = SigmaSpacing.timesteps
    /// Levels that take the place of the spacing's own ends.
    private(set) var sigmaRange: (lowest: Double?, highest: Double?) = (nil, nil)
    /// σ ends with that of time step 0 instead of 0.
    private(set) var endsAtLowestSigma = false
    private(set) var isRescaled = false
    private(set) var isCosine = false
    private(set) var skipsRungeKutta = true
    private(set) var solver = DPMSolverSampler.Settings()
    private(set) var uniPCVariant = UniPCSampler.Variant.bh2
    private(set) var uncorrected: Set<Int> = []
    private(set) var variance = DDPMSampler.Variance.fixedSmall
    private(set) var originalSteps = 50
    private(set) var timestepScaling: Float = 10

    /// What SD 1.5's own folder says; for checkpoints that come without a scheduler.
    public static func stableDiffusion15(prediction: PredictionType = .epsilon) -> SchedulerConfiguration {
        SchedulerConfiguration(schedule: .stableDiffusion15, prediction: prediction)
    }

    private init(schedule: NoiseSchedule, prediction: PredictionType) {
        self.schedule = schedule
        self.prediction = prediction
        samplerName = .pndm
        className = "PNDMScheduler"
        file = "the built-in scheduler"
        stepsOffset = 1
        setAlphaToOne = false
        clipSample = false
    }

    /// Reads a model folder's `scheduler/scheduler_config.json`.
    public init(path: String) throws {
        var limits = JSON.Limits()
        limits.negativeInfinity = true
        try self.init(ConfigFile(file: path, json: JSON.read(path, limits: limits)))
    }

    /// Throws `Failure` naming file and key for values that are malformed or ask for what is not implemented
    /// (`SchedulerSetting`).
    public init(_ config: ConfigFile) throws {
        file = config.file
        className = try config.string("_class_name")
        try SchedulerSetting.check(config)
        isRescaled = try config.bool("rescale_betas_zero_snr", default: false)
        isCosine = config.json["beta_schedule"] == "squaredcos_cap_v2"
        let trained = try Self.schedule(config)
        schedule = isRescaled ? trained.rescaledToZeroTerminalSNR : trained
        prediction = try Self.choice(config, "prediction_type") ?? .epsilon
        spacing = try Self.choice(config, "timestep_spacing")
        stepsOffset = try Self.bounded(config, "steps_offset", in: 0...schedule.trainTimesteps - 1, default: 0)
        setAlphaToOne = try Self.flag(config, "set_alpha_to_one")
        clipSample = try Self.flag(config, "clip_sample")
        clipRange = Float(try config.double("clip_sample_range", default: 1))
        skipsRungeKutta = try config.bool("skip_prk_steps", default: true)
        let karras = try config.bool("use_karras_sigmas", default: false)
        let isStochastic = try Self.isStochastic(config)
        samplerName = Self.sampler(ofClass: className, karras: karras, stochastic: isStochastic)
        try readSigmas(config, karras: karras)
        try readSolvers(config)
        variance = try Self.choice(config, "variance_type") ?? .fixedSmall
        originalSteps = try Self.bounded(
            config, "original_inference_steps", in: 1...schedule.trainTimesteps, default: min(50, schedule.trainTimesteps))
        timestepScaling = Float(try config.double("timestep_scaling", default: 10))
    }

    private mutating func readSigmas(_ config: ConfigFile, karras: Bool) throws {
        let exponential = try config.bool("use_exponential_sigmas", default: false)
        guard !(karras && exponential) else {
            throw config.bad("use_exponential_sigmas", expected: "false beside use_karras_sigmas", found: "true")
        }
        sigmaSpacing = karras ? .karras : exponential ? .exponential : .timesteps
        sigmaRange = (try Self.level(config, "sigma_min"), try Self.level(config, "sigma_max"))
        switch try config.string("final_sigmas_type", default: "zero") {
        case "zero": endsAtLowestSigma = false
        case "sigma_min": endsAtLowestSigma = true
        case let other: throw config.bad("final_sigmas_type", expected: "zero or sigma_min", found: other)
        }
    }

    private mutating func readSolvers(_ config: ConfigFile) throws {
        let types = try Self.solverTypes(config)
        solver.order = try Self.bounded(config, "solver_order", in: 1...3, default: 2)
        solver.variant = types.multistep
        solver.lowerOrderFinal = try config.bool("lower_order_final", default: true)
        solver.eulerAtFinal = try config.bool("euler_at_final", default: false)
        uniPCVariant = types.uniPC
        uncorrected = try Self.indices(config, "disable_corrector")
    }

    /// - Parameter name: nil for the file's own sampler.
    /// Throws `SimpleFailure` of kind `.usage` for a number of steps or a sampler that cannot be.
    public func sampler(_ name: SamplerName? = nil, steps: Int) throws -> any Sampler {
        guard let name = name ?? samplerName else {
            let known = SamplerName.allCases.map(\.rawValue).joined(separator: ", ")
            throw SimpleFailure(.usage, "\(file): \(className) is not implemented; choose a sampler: \(known)")
        }
        guard (1..<schedule.trainTimesteps).contains(steps) else {
            throw SimpleFailure(.usage, "\(steps) steps: expected 1 to \(schedule.trainTimesteps - 1)")
        }
        guard !isRescaled || SchedulerSetting.rescaling.contains(name) else {
            throw SimpleFailure(
                .usage, "\(file): rescale_betas_zero_snr is true, which \(name.rawValue) does not know; use ddim or euler")
        }
        return try sampler(name, steps)
    }
}

extension ModelFolder {
    /// The model's scheduler; Stable Diffusion 1.5's own if it has none.
    public func scheduler() throws -> SchedulerConfiguration { try SchedulerConfiguration(source.scheduler()) }
}
