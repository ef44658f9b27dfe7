import Files

/// Which sampler is made of the settings, each with its class's own defaults for what the file leaves out.
extension SchedulerConfiguration {
    func sampler(_ name: SamplerName, _ steps: Int) throws -> any Sampler {
        switch name {
        case .pndm: try pndm(steps)
        case .ddim: try ddim(steps)
        case .ddpm: try ddpm(steps)
        case .lcm: try lcm(steps)
        case .euler: try euler(steps, ancestral: false)
        case .eulerAncestral: try euler(steps, ancestral: true)
        case .heun: try heun(steps)
        case .lms: try lms(steps)
        case .dpmppSDE: try stochasticSolver(steps)
        case .dpmpp2M: try multistep(steps, karras: false, stochastic: false)
        case .dpmpp2MKarras: try multistep(steps, karras: true, stochastic: false)
        case .dpmpp2MSDE: try multistep(steps, karras: false, stochastic: true)
        case .dpmpp2MSDEKarras: try multistep(steps, karras: true, stochastic: true)
        case .uniPC: try uniPC(steps)
        }
    }

    // MARK: - In ᾱ

    private func pndm(_ steps: Int) throws -> PNDMSampler {
        guard skipsRungeKutta else {
            throw SimpleFailure(
                .badData, "\(file): skip_prk_steps is false, but Runge-Kutta steps are not implemented; use ddim")
        }
        return PNDMSampler(
            schedule: schedule, steps: try whole(steps), finalAlpha: finalAlpha(setAlphaToOne ?? false),
            prediction: prediction)
    }

    private func ddim(_ steps: Int) throws -> DDIMSampler {
        DDIMSampler(
            schedule: schedule, steps: try whole(steps), finalAlpha: finalAlpha(setAlphaToOne ?? true),
            prediction: prediction, clipRange: clipRange(default: true))
    }

    private func ddpm(_ steps: Int) throws -> DDPMSampler {
        DDPMSampler(
            timesteps: try whole(steps).map { Float($0) }, schedule: schedule, prediction: prediction,
            clipRange: clipRange(default: true), variance: variance)
    }

    private func lcm(_ steps: Int) throws -> LCMSampler {
        guard steps <= originalSteps else {
            throw SimpleFailure(
                .usage, "\(steps) steps: lcm takes at most original_inference_steps, \(originalSteps)")
        }
        let list = Timesteps.consistency(
            steps: steps, original: originalSteps, trainTimesteps: schedule.trainTimesteps)
        return LCMSampler(
            timesteps: list.map { Float($0) }, schedule: schedule, prediction: prediction,
            clipRange: clipRange(default: false), timestepScaling: timestepScaling)
    }

    private func whole(_ steps: Int) throws -> [Int] {
        let list = Timesteps.whole(
            spacing ?? .leading, steps: steps, offset: stepsOffset, trainTimesteps: schedule.trainTimesteps)
        try check(list.map(Double.init))
        return list
    }

    private func finalAlpha(_ one: Bool) -> Float { one ? 1 : schedule.alphasCumprod[0] }

    private func clipRange(default: Bool) -> Float? { clipSample ?? `default` ? clipRange : nil }

    // MARK: - In σ, between the ends of the time steps

    private func euler(_ steps: Int, ancestral: Bool) throws -> EulerSampler {
        let table = try table(steps, sigmaSpacing: ancestral ? .timesteps : sigmaSpacing, range: sigmaRange)
        let ending = ancestral || !endsAtLowestSigma ? table : table.ending(at: sigmaSchedule.sigmas[0])
        return EulerSampler(
            table: ending, initialNoiseSigma: initialNoiseSigma(table), prediction: prediction, ancestral: ancestral)
    }

    private func heun(_ steps: Int) throws -> HeunSampler {
        let table = try table(steps, sigmaSpacing: sigmaSpacing)
        return HeunSampler(
            table: table, initialNoiseSigma: initialNoiseSigma(table), prediction: prediction,
            clipRange: clipRange(default: false))
    }

    private func lms(_ steps: Int) throws -> LMSSampler {
        let table = try table(steps, sigmaSpacing: sigmaSpacing)
        return LMSSampler(table: table, initialNoiseSigma: initialNoiseSigma(table), prediction: prediction)
    }

    private func stochasticSolver(_ steps: Int) throws -> DPMSolverSDESampler {
        let table = try table(steps, sigmaSpacing: sigmaSpacing)
        let middles = zip(table.sigmas, table.sigmas.dropFirst().dropLast()).map { from, to in
            SigmaTable.timestep(of: Double(DPMSolverSDESampler.middle(from, to)), in: sigmaSchedule)
        }
        return DPMSolverSDESampler(
            table: table, middles: middles, initialNoiseSigma: initialNoiseSigma(table), prediction: prediction)
    }

    /// Time steps that need not be whole, and their σ, or levels between the first and the last of these.
    private func table(
        _ steps: Int, sigmaSpacing: SigmaSpacing, range: (lowest: Double?, highest: Double?) = (nil, nil)
    ) throws -> SigmaTable {
        let list = Timesteps.fractional(
            spacing ?? .linspace, steps: steps, offset: stepsOffset, trainTimesteps: schedule.trainTimesteps
        ).map { Double(Float($0)) }
        try check(list)
        let table = SigmaTable(schedule: sigmaSchedule, timesteps: list)
        guard sigmaSpacing != .timesteps else { return table }
        return SigmaTable(
            sigmaSpacing, schedule: sigmaSchedule, steps: steps, highest: range.highest ?? Double(table.sigmas[0]),
            lowest: range.lowest ?? Double(table.sigmas[steps - 1]), round: { $0 })
    }

    /// Leading time steps leave the clean picture's unit variance in the start.
    private func initialNoiseSigma(_ table: SigmaTable) -> Float {
        let highest = table.sigmas.max() ?? 0
        return spacing == .leading ? (highest * highest + 1).squareRoot() : highest
    }

    // MARK: - In λ, between the ends of the training schedule

    private func multistep(_ steps: Int, karras: Bool, stochastic: Bool) throws -> DPMSolverSampler {
        let own: SigmaSpacing = sigmaSpacing == .exponential ? .exponential : .timesteps
        let table = try solverTable(steps, karras ? .karras : own)
        var settings = solver
        settings.isStochastic = stochastic
        let ending = endsAtLowestSigma ? table.ending(at: sigmaSchedule.sigmas[0]) : table
        return DPMSolverSampler(table: ending, prediction: prediction, settings: settings)
    }

    private func uniPC(_ steps: Int) throws -> UniPCSampler {
        guard solver.lowerOrderFinal || endsAtLowestSigma || solver.order == 1 else {
            throw SimpleFailure(
                .badData, "\(file): lower_order_final is false, with which unipc divides by zero at its last step")
        }
        var table = try solverTable(steps, sigmaSpacing, range: sigmaRange)
        if endsAtLowestSigma {
            table = table.ending(at: sigmaSpacing == .timesteps ? sigmaSchedule.sigmas[0] : table.sigmas[steps - 1])
        }
        return UniPCSampler(
            table: table, prediction: prediction, variant: uniPCVariant, order: solver.order,
            lowerOrderFinal: solver.lowerOrderFinal, uncorrected: uncorrected)
    }

    private func solverTable(
        _ steps: Int, _ sigmaSpacing: SigmaSpacing, range: (lowest: Double?, highest: Double?) = (nil, nil)
    ) throws -> SigmaTable {
        let list = Timesteps.solver(
            spacing ?? .linspace, steps: steps, offset: stepsOffset, trainTimesteps: schedule.trainTimesteps
        ).map(Double.init)
        try check(list)
        guard sigmaSpacing != .timesteps else { return SigmaTable(schedule: sigmaSchedule, timesteps: list) }
        let sigmas = sigmaSchedule.sigmas
        let isRounded = sigmaSpacing == .karras && !isCosine
        return SigmaTable(
            sigmaSpacing, schedule: sigmaSchedule, steps: steps,
            highest: range.highest ?? Double(sigmas[sigmas.count - 1]), lowest: range.lowest ?? Double(sigmas[0]),
            round: { isRounded ? $0.rounded(.toNearestOrEven) : $0.rounded(.towardZero) })
    }

    private var sigmaSchedule: NoiseSchedule { isRescaled ? schedule.withFiniteSigmas : schedule }

    private func check(_ timesteps: [Double]) throws {
        guard let last = timesteps.max(), last > Double(schedule.trainTimesteps - 1) else { return }
        throw SimpleFailure(
            .usage,
            "\(timesteps.count) steps with steps_offset \(stepsOffset) reach time step \(Int(last)), "
                + "beyond the last, \(schedule.trainTimesteps - 1); take fewer steps")
    }
}
