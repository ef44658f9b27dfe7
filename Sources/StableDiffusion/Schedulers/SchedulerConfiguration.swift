import Files

/// `scheduler_config.json`, from which any of the samplers can be made.
///
/// A key that the file has is carried over to whichever sampler is chosen; an absent one takes that sampler's own
/// default, as when diffusers makes one scheduler from another's configuration.
public struct SchedulerConfiguration: Sendable {
    public let schedule: NoiseSchedule
    /// The sampler the file is for; nil for a class that is not one of ours.
    public let samplerName: SamplerName?
    public var prediction: PredictionType
    private let className: String
    private let file: String
    private var stepsOffset = 0
    private var setAlphaToOne: Bool?
    private var clipSample: Bool?
    private var clipRange: Float = 1
    private var spacing: TimestepSpacing?
    private var karras = false
    private var skipsRungeKutta = true

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

    /// Throws `Failure` naming file and key for values that are malformed or ask for what is not implemented.
    public init(_ config: ConfigFile) throws {
        file = config.file
        className = try config.string("_class_name")
        schedule = try Self.schedule(config)
        prediction = try Self.choice(config, "prediction_type") ?? .epsilon
        spacing = try Self.choice(config, "timestep_spacing")
        stepsOffset = try config.int("steps_offset", default: 0)
        guard (0..<schedule.trainTimesteps).contains(stepsOffset) else {
            throw config.bad("steps_offset", expected: "a time step", found: "\(stepsOffset)")
        }
        setAlphaToOne = try Self.flag(config, "set_alpha_to_one")
        clipSample = try Self.flag(config, "clip_sample")
        clipRange = Float(try config.double("clip_sample_range", default: 1))
        karras = try config.bool("use_karras_sigmas", default: false)
        skipsRungeKutta = try config.bool("skip_prk_steps", default: true)
        samplerName = Self.sampler(ofClass: className, karras: karras)
        try Self.refuseWhatIsNotImplemented(config)
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
        switch name {
        case .pndm: return try pndm(steps)
        case .ddim: return try ddim(steps)
        case .euler: return try euler(steps, ancestral: false)
        case .eulerAncestral: return try euler(steps, ancestral: true)
        case .dpmpp2M: return try dpmSolver(steps, karras: false)
        case .dpmpp2MKarras: return try dpmSolver(steps, karras: true)
        }
    }

    private func pndm(_ steps: Int) throws -> PNDMSampler {
        guard skipsRungeKutta else {
            throw SimpleFailure(
                .badData, "\(file): skip_prk_steps is false, but Runge-Kutta steps are not implemented; use ddim")
        }
        let list = Timesteps.whole(
            spacing ?? .leading, steps: steps, offset: stepsOffset, trainTimesteps: schedule.trainTimesteps)
        try check(list.map(Double.init))
        return PNDMSampler(
            schedule: schedule, steps: list, finalAlpha: finalAlpha(setAlphaToOne ?? false), prediction: prediction)
    }

    private func ddim(_ steps: Int) throws -> DDIMSampler {
        let list = Timesteps.whole(
            spacing ?? .leading, steps: steps, offset: stepsOffset, trainTimesteps: schedule.trainTimesteps)
        try check(list.map(Double.init))
        return DDIMSampler(
            schedule: schedule, steps: list, finalAlpha: finalAlpha(setAlphaToOne ?? true), prediction: prediction,
            clipRange: clipSample ?? true ? clipRange : nil)
    }

    private func euler(_ steps: Int, ancestral: Bool) throws -> EulerSampler {
        let list = Timesteps.fractional(
            spacing ?? .linspace, steps: steps, offset: stepsOffset, trainTimesteps: schedule.trainTimesteps
        ).map { Double(Float($0)) }
        try check(list)
        var table = SigmaTable(schedule: schedule, timesteps: list)
        if karras, !ancestral {
            table = SigmaTable(
                karras: schedule, steps: steps, highest: Double(table.sigmas[0]),
                lowest: Double(table.sigmas[steps - 1]), whole: false)
        }
        return EulerSampler(
            table: table, spacing: spacing ?? .linspace, prediction: prediction, ancestral: ancestral)
    }

    private func dpmSolver(_ steps: Int, karras: Bool) throws -> DPMSolverSampler {
        let list = Timesteps.solver(
            spacing ?? .linspace, steps: steps, offset: stepsOffset, trainTimesteps: schedule.trainTimesteps
        ).map(Double.init)
        try check(list)
        guard karras else {
            return DPMSolverSampler(table: SigmaTable(schedule: schedule, timesteps: list), prediction: prediction)
        }
        let sigmas = schedule.sigmas
        let table = SigmaTable(
            karras: schedule, steps: steps, highest: Double(sigmas[sigmas.count - 1]), lowest: Double(sigmas[0]),
            whole: true)
        return DPMSolverSampler(table: table, prediction: prediction)
    }

    private func finalAlpha(_ one: Bool) -> Float { one ? 1 : schedule.alphasCumprod[0] }

    private func check(_ timesteps: [Double]) throws {
        guard let last = timesteps.max(), last > Double(schedule.trainTimesteps - 1) else { return }
        throw SimpleFailure(
            .usage,
            "\(timesteps.count) steps with steps_offset \(stepsOffset) reach time step \(Int(last)), "
                + "beyond the last, \(schedule.trainTimesteps - 1); take fewer steps")
    }
}

extension ModelFolder {
    /// The model's scheduler; Stable Diffusion 1.5's own if it has none.
    public func scheduler() throws -> SchedulerConfiguration { try SchedulerConfiguration(source.scheduler()) }
}
