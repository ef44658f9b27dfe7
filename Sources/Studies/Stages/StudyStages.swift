import Files
import WorkUnits

extension Study {
    /// The stages in their order, without those that the settings do not want.
    public var stages: [any WorkStage] { StageName.allCases.compactMap(stage) }

    /// A stage; nil for priors, a pool, steered pictures or maps that the settings do not want.
    public func stage(_ name: StageName) -> (any WorkStage)? {
        switch name {
        case .capture: CaptureStage(study: self)
        case .analysis: AnalyzeStage(study: self)
        case .prior: settings.makesPriors ? PriorStage(study: self) : nil
        case .pool: settings.usesPool ? PoolStage(study: self) : nil
        case .search: settings.usesPool ? SearchStage(study: self) : nil
        case .dream: DreamStage(study: self)
        case .reference: ReferenceStage(study: self)
        case .steer: settings.steers ? SteerStage(study: self) : nil
        case .measure: MeasureStage(study: self)
        case .map: settings.makesMaps ? MapStage(study: self) : nil
        }
    }

    /// The results of the time-step analysis of a site.
    ///
    /// - Throws: `SimpleFailure(.stoppedEarly)` if it has not been made or is out of date.
    public func analysis(_ site: Site) throws -> SiteAnalysis {
        if let known = analyses[site] { return known }
        let stage = AnalyzeStage(study: self)
        let store = UnitStore(study: folder, stage: stage.name)
        guard store.state(of: try stage.unit(site)) == .done else {
            throw SimpleFailure(
                .stoppedEarly, "\(folder): \(site.path) is not analysed yet; run lvo study \(StageName.analysis.command)")
        }
        let analysis = try SiteAnalysis(folder: store.folder(site.path))
        analyses[site] = analysis
        return analysis
    }

    /// The chosen channels or features of all sites.
    public func subjects() throws -> [Subject] {
        try sites.flatMap { site in
            let choice = try FeatureChoice(settings.choice(site.space))
            return try choice.select(from: analysis(site), words: ExampleWords(self, site)).map {
                Subject(site: site, index: $0)
            }
        }
    }

    /// Where the result of a unit is.
    ///
    /// - Throws: `SimpleFailure(.missingInput)` if it is not done or out of date.
    func folder(of unit: WorkUnit<some Sendable>, in stage: StageName) throws -> String {
        let store = UnitStore(study: folder, stage: stage.rawValue)
        guard store.state(of: unit) == .done else {
            throw SimpleFailure(
                .missingInput, "\(store.folder(unit.id)): nothing valid there; run lvo study \(stage.command)")
        }
        return store.folder(unit.id)
    }

    /// Every dream: subjects at their time steps; those that these are compared with come last.
    func dreamSubjects() throws -> [DreamSubject] {
        let own = try subjects().flatMap(dreamSubjects)
        return own + own.flatMap(companions)
    }

    /// What a dream is compared with.
    func companions(of dream: DreamSubject) -> [DreamSubject] {
        settings.companions(dream.subject.site.space).map {
            DreamSubject(subject: dream.subject, timestep: dream.timestep, way: $0)
        }
    }

    /// The dream stage's settings of a dream.
    func settings(of dream: DreamSubject) -> DreamStageSettings {
        settings.dream(dream.subject.site.space, dream.way)
    }

    /// A subject at its time steps, as the study's settings dream it.
    func dreamSubjects(of subject: Subject) throws -> [DreamSubject] {
        try timesteps(subject).map { DreamSubject(subject: subject, timestep: $0) }
    }

    /// The time steps a subject is optimized at, ascending.
    func timesteps(_ subject: Subject) throws -> [Int] {
        let chosen = try settings.dreamTimesteps.flatMap { timestep -> [Int] in
            switch timestep {
            case .peaks: try analysis(subject.site).peaks[subject.index]
            case .between: try between(subject)
            case .at(let timestep): [timestep]
            }
        }
        return Set(chosen).sorted()
    }

    private func between(_ subject: Subject) throws -> [Int] {
        let analysis = try analysis(subject.site)
        return analysis.profile(subject.index)
            .between(analysis.peaks[subject.index], separation: settings.peakSeparation)
    }

    /// Picture size in a key; null stands for the model's own.
    var sizeKey: JSON {
        .array([settings.capture.width, settings.capture.height].map { $0.map { .integer($0) } ?? .null })
    }
}
