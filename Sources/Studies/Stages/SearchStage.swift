import Checkpoints
import Experiments
import Files
import Tensors
import WorkUnits

/// Subjects of one layer that are dreamt at the same time step, under the same text.
struct SearchGroup: Sendable, Hashable {
    let site: Site
    let timestep: Int
    let subjects: [Subject]

    var path: String { "\(site.path)/t\(Text.digits(timestep, 4))" }
}

/// The pictures of the pool that excite subjects most at a time step. One unit per site and time step, since all its
/// subjects share the U-Net's work:
///
///     INDEX.safetensors   latent [S, 4, h, w]: where the subject's dreams start, in the order of the seeds
///     starts.json         per subject and seed, the picture's number in the pool and its activation
struct SearchStage: WorkStage {
    let study: Study
    let name = StageName.search.rawValue

    func units() throws -> [WorkUnit<SearchGroup>] {
        try groups().map(unit).sorted { $0.id < $1.id }
    }

    /// In whatever ways a subject is dreamt, it is looked for once.
    private func groups() throws -> [SearchGroup] {
        let dreams = try study.dreamSubjects().filter { study.settings(of: $0).start == .pool }
        let together = Dictionary(grouping: dreams) { SearchGroup(site: $0.subject.site, timestep: $0.timestep, subjects: []) }
        return together.map { group, dreams in
            var seen: Set<Subject> = []
            let subjects = dreams.map(\.subject).filter { seen.insert($0).inserted }
            return SearchGroup(site: group.site, timestep: group.timestep, subjects: subjects)
        }
    }

    private func unit(_ group: SearchGroup) throws -> WorkUnit<SearchGroup> {
        WorkUnit(
            id: group.path,
            key: [
                "start": try startKey(group.site), "timestep": .integer(group.timestep),
                "subjects": .array(group.subjects.map { .integer($0.index) }),
            ], payload: group)
    }

    /// What a subject's start depends on, beside its time step: not on who else is looked for.
    func startKey(_ site: Site) throws -> JSON {
        [
            "version": 2, "pool": try PoolStage(study: study).key(),
            "autoencoder": try study.model.identity(of: site), "seeds": .integer(study.settings.dreamSeeds.count),
            "prompt": study.settings.dream(site.space).promptKey,
            "where": try study.identity(of: study.settings.place(site.space)),
            "spread": .integer(try study.settings.dream(site.space).dreamSettings().timestepSpread),
        ]
    }

    func compute(_ unit: WorkUnit<SearchGroup>, into folder: String, partial: PartialUnit) throws {
        let (group, seeds) = (unit.payload, study.settings.dreamSeeds)
        let pool = try PoolStage(study: study).pool()
        let found = try study.model.starts(
            group.subjects, in: pool, timestep: group.timestep, count: seeds.count,
            settings: study.settings.dream(group.site.space), check: partial.check)
        for (subject, starts) in zip(group.subjects, found) {
            let latents = seeds.indices.map { seed in
                let index = starts[seed % starts.count].index
                return pool.latents.slice(index..<index + 1).array
            }
            try SafetensorsWriter.write(
                [("latent", Tensor([seeds.count] + pool.latents.shape.dropFirst(), latents.flatMap { $0 }))],
                to: "\(folder)/\(Self.file(subject))", dtype: .f16)
        }
        let record = zip(group.subjects, found).map { subject, starts in
            (
                "\(subject.index)",
                JSON.array(
                    starts.map { ["index": .integer($0.index), "activation": .float(Float($0.activation))] })
            )
        }
        try JSON(record).write(to: folder + "/starts.json", overwrite: false)
    }

    private static func file(_ subject: Subject) -> String { "\(Text.digits(subject.index, 5)).safetensors" }

    /// A dream's start; the path is relative to the study.
    ///
    /// - Throws: `SimpleFailure(.missingInput)` if it has not been looked for.
    func start(_ dream: DreamSubject) throws -> DreamStart {
        let (site, timestep) = (dream.subject.site, dream.timestep)
        guard let group = try groups().first(where: { $0.site == site && $0.timestep == timestep }) else {
            throw SimpleFailure(.internalError, "\(dream.path): does not start from the pool")
        }
        let unit = try unit(group)
        let file = Self.file(dream.subject)
        let latents = try TensorFile.read("\(study.folder(of: unit, in: .search))/\(file)", name: "latent")
        return .latents(latents, file: "\(name)/\(unit.id)/\(file)")
    }
}
