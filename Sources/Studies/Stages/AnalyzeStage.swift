import Files
import WorkUnits

/// The time-step analysis of all generations. One unit per site.
struct AnalyzeStage: StudyStage {
    let study: Study
    let name = "analysis"
    let isSharded = false

    func units() throws -> [WorkUnit] {
        let inputs = JSON.array(try CaptureStage(study: study).units().map { .string($0.fingerprint) })
        let key: JSON = [
            "version": 2, "inputs": .string(Fingerprint.of(inputs)), "top_k": .integer(study.settings.topK),
            "peak_separation": .integer(study.settings.peakSeparation), "peaks": .integer(study.settings.peakLimit),
        ]
        return study.sites.map { WorkUnit(id: $0.path, key: key) }
    }

    func compute(_ unit: WorkUnit, into folder: String, partial: PartialUnit) throws {
        guard let site = study.sites.first(where: { $0.path == unit.id }) else {
            throw SimpleFailure(.internalError, "\(unit.id): no such site")
        }
        let capture = CaptureStage(study: study)
        try requireAll(capture)
        var analysis: TimestepAnalysis?
        var generation = 0
        for prompt in study.prompts {
            let (activations, timesteps) = try capture.recorded(prompt, site)
            let size = activations.shape[1] * activations.shape[2]
            var running = analysis ?? TimestepAnalysis(
                channels: activations.shape[2], timesteps: timesteps, topK: study.settings.topK,
                countsZero: site.space == .channels)
            // Otherwise the running value would be copied at the first change to it.
            analysis = nil
            let values = activations.floats()
            values.withUnsafeBufferPointer { buffer in
                for local in 0..<activations.shape[0] {
                    let part = UnsafeBufferPointer(rebasing: buffer[local * size..<(local + 1) * size])
                    running.add(generation: generation, activations: part)
                    generation += 1
                }
            }
            analysis = running
        }
        guard let analysis else { throw SimpleFailure(.badData, "\(study.folder): nothing was captured") }
        try SiteAnalysis.write(
            analysis, peakSeparation: study.settings.peakSeparation, peakLimit: study.settings.peakLimit, to: folder)
    }

    /// - Throws: `SimpleFailure(.stoppedEarly)` if pictures are missing: other shards may still be drawing them.
    private func requireAll(_ capture: CaptureStage) throws {
        let store = UnitStore(study: study.folder, stage: capture.name)
        let missing = try capture.units().filter { store.state(of: $0) != .done }.count
        guard missing == 0 else {
            throw SimpleFailure(
                .stoppedEarly,
                "\(study.folder): \(missing) of \(study.prompts.count) prompts are not captured; run lvo study capture, "
                    + "all shards of it, and then this again")
        }
    }
}
