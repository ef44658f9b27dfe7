import Experiments
import Files
import Parallel
import Studies
import WorkUnits

/// Runs stages until they are done, a signal comes, or a disk is full.
struct StageJob {
    let study: Study
    let options: StageOptions
    let stop: StopFlag

    /// - Parameter names: of the stages, in their order.
    func run(_ names: [StageName] = StageName.allCases) throws {
        options.workers.begin()
        if !options.workers.worker { try prepare(names) }
        let groups = try options.workers.groups(memory: StudyFolder.memory(study))
        let failed = try groups.map { try share(among: $0) } ?? runHere(names)
        if failed > 0 {
            throw SimpleFailure(
                .internalError, "\(study.folder): \(failed) units failed; failed/ holds their errors, a new run tries again")
        }
    }

    private func prepare(_ names: [StageName]) throws {
        try study.writeSettings()
        if names.contains(.capture), let network = study.model as? NetworkModel {
            try warnAboutPrompts(
                study.prompts.map(\.text), isEmphasized: study.settings.emphasis, network.session.folder,
                inStudy: true)
        }
    }

    private func runHere(_ names: [StageName]) throws -> Int {
        let progress = StageProgress(emitsEvents: options.json || options.workers.worker)
        let runner = try StageRunner(study: study.folder, shard: options.part(), stop: stop) { progress.show($0) }
        var failed = 0
        for name in names {
            if let stage = study.stage(name) {
                failed += try runner.run(stage)
            } else if names.count == 1 {
                note("\(study.folder): the settings want no stage \(name.rawValue); there is nothing to do")
            }
        }
        return failed
    }

    /// How many units failed in workers that do the same stages.
    private func share(among groups: [CoreGroup]) throws -> Int {
        // Checksums of large files, read by one process and not by each.
        _ = try study.model.identity()
        let progress = StageProgress(emitsEvents: options.json)
        defer { progress.close() }
        var summary = StageSummary(workers: groups.count)
        let arguments = WorkersOption.arguments()
        let fleet = WorkerFleet(groups: groups, arguments: { _ in arguments }, stop: stop) { worker, json in
            if let event = StageEvent(json).flatMap({ summary.event($0, of: worker) }) { progress.show(event) }
        } say: { progress.say($0) }
        let failure = try fleet.run()
        // Units that fail are not all that a worker can end with 70 for.
        if let failure, !summary.hasFailures { throw failure }
        return summary.failed
    }
}
