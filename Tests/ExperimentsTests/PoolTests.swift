import Experiments
import Files
import Foundation
import Ops
import StableDiffusion
import Tensors
import TestSupport
import Testing
import Visualization

@Suite struct PoolTests {
    private let size = (height: 8, width: 8)

    private func session(threads: Int = 1, pools: String? = nil) throws -> ModelSession {
        try ModelSession(
            ModelReference("embedded", autoencoders: "embedded"), engine: Engine(threads: threads),
            pools: PoolStore(folder: pools))
    }

    @Test func whatIsDrawnDependsNeitherOnPartsNorOnThreads() throws {
        let whole = try session().drawPool(0..<3, size: size)
        let rest = try session(threads: 3).drawPool(1..<3, size: size)
        #expect(whole.shape == [3, 4, 8, 8])
        #expect(whole.slice(1..<3).array == rest.array)
        #expect(whole.slice(0..<1).array != whole.slice(1..<2).array)
        #expect(whole.array.allSatisfy { $0.isFinite && Float(Float16($0)) == $0 })
    }

    @Test func poolsAreKeptAndDrawnOn() throws {
        let folder = try TemporaryFolder()
        var drawn = 0
        let first = try session(pools: folder.path).pool(2, size: size) { _, _ in drawn += 1 }
        #expect(drawn > 0 && first.count == 2)
        drawn = 0
        let again = try session(pools: folder.path)
        #expect(try again.pool(2, size: size) { _, _ in drawn += 1 }.latents.array == first.latents.array)
        #expect(try again.poolPart(1..<2, size: size) {}.array == first.latents.slice(1..<2).array)
        #expect(drawn == 0)
        let more = try again.pool(3, size: size) { _, _ in drawn += 1 }
        #expect(drawn > 0 && more.latents.slice(0..<2).array == first.latents.array)
        // A damaged file is drawn anew.
        let file = try #require(folder.contents.first)
        try Data([1, 2, 3]).write(to: URL(fileURLWithPath: "\(folder.path)/\(file)"))
        #expect(try session(pools: folder.path).pool(2, size: size).latents.array == first.latents.array)
        #expect(throws: SimpleFailure.self) { try again.pool(0, size: size) }
    }

    /// Rounded to half precision; another instruction set may round the last place otherwise.
    @Test func theProgramsPoolIsWhatTheModelDraws() throws {
        let session = try session()
        let size = try session.folder.latentSize(pixelWidth: nil, pixelHeight: nil)
        let drawn = try session.drawPool(0..<2, size: size)
        let shipped = try session.pool(1024, size: size) { _, _ in Issue.record("it was drawn") }
        let kept = shipped.latents.slice(0..<2)
        #expect(zip(drawn.array, kept.array).allSatisfy { abs($0 - $1) < 0.01 })
    }

    @Test func startsAreThePicturesThatExciteMost() throws {
        let session = try session()
        let pool = try session.pool(6, size: size)
        let hook = try session.hook(EmbeddedModel.layer)
        let dreamer = try session.dreamer(hook, size: LatentSize(batch: 1, height: size.height, width: size.width))
        let objectives = [Objective.channel(3), .feature(718, of: try session.autoencoder(EmbeddedModel.layer))]
        let found = try PoolSearch(pool, dreamer: dreamer).starts(objectives, timestep: 301, count: 2)
        for (objective, starts) in zip(objectives, found) {
            let all = try (0..<6).map {
                try dreamer.measure(pool.latents.slice($0..<$0 + 1), objectives: [objective], timestep: 301)[0]
            }
            let best = all.sorted(by: >)
            #expect(starts.map(\.activation) == Array(best[..<2]))
            #expect(starts.map { all[$0.index] } == Array(best[..<2]))
        }
        #expect(try PoolSearch(pool, dreamer: dreamer).starts(objectives, timestep: 301, count: 9)[0].count == 6)
    }
}

@Suite struct RedrawTests {
    private func request(draws: Int, start: DreamStart = .pool(4)) -> DreamRequest {
        var settings = DreamSettings(.clear)
        (settings.steps, settings.redraws, settings.redrawSteps, settings.redrawDraws) = (4, 2, 2, draws)
        return DreamRequest(
            layer: EmbeddedModel.layer, objectives: [.channel(3)], timesteps: [301], seeds: [7, 8], start: start, width: 32,
            height: 32, settings: settings)
    }

    private func experiment(_ request: DreamRequest, threads: Int = 1) throws -> DreamExperiment {
        try DreamExperiment(
            request, session: ModelSession(ModelReference("embedded"), engine: Engine(threads: threads)))
    }

    /// The second step ends a round: what is kept then is drawn again already.
    @Test(arguments: [1, 2, 3]) func anInterruptedRunGoesOnToTheSame(step: Int) throws {
        struct Stop: Error {}
        let experiment = try experiment(request(draws: 2))
        let items = experiment.batches[0]
        let whole = try experiment.run(items)
        var kept: DreamState = []
        #expect(throws: Stop.self) {
            _ = try experiment.run(items) { moment in
                guard moment.step.index == step - 1 else { return }
                kept = moment.state()
                throw Stop()
            }
        }
        let state = Dictionary(uniqueKeysWithValues: kept.map { ($0.name, $0.tensor) })
        #expect(try experiment.run(items, state: state).latents.array == whole.latents.array)
    }

    @Test func batchAndThreadsLeaveNoTrace() throws {
        let both = try experiment(request(draws: 2))
        let whole = try both.run(both.batches[0])
        let threaded = try experiment(request(draws: 2), threads: 3)
        #expect(try threaded.run(threaded.batches[0]).latents.array == whole.latents.array)
        var alone = request(draws: 2)
        alone.batch = 1
        let single = try experiment(alone)
        let second = try single.run(single.batches[1])
        #expect(second.latents.array == whole.latents.slice(1..<2).array)
        #expect(second.records[0].poolIndex == whole.records[1].poolIndex && second.records[0].poolIndex != nil)
    }

    /// Of several candidates the one that excites most goes on: more of them never end lower after one round.
    @Test func theMostExcitingCandidateGoesOn() throws {
        func reached(_ draws: Int) throws -> [Double] {
            var one = request(draws: draws)
            (one.settings.steps, one.settings.redraws) = (1, 1)
            let experiment = try experiment(one)
            let latents = try experiment.run(experiment.batches[0]).latents
            let dreamer = try experiment.session.dreamer(
                experiment.hook, size: LatentSize(batch: 2, height: 8, width: 8))
            return try dreamer.measure(latents, objectives: [.channel(3)], timestep: 301, noiseDraws: 2)
        }
        let (one, five) = (try reached(1), try reached(5))
        #expect(zip(one, five).allSatisfy { $0 <= $1 } && one != five)
    }

    @Test func whatCannotBeIsRefused() throws {
        var late = request(draws: 1)
        late.settings.redrawStart = 5000
        #expect(throws: SimpleFailure.self) { try experiment(late) }
        #expect(throws: SimpleFailure.self) { try experiment(request(draws: 1, start: .pool(0))) }
    }

    @Test func roundsAreEven() {
        var settings = DreamSettings(.clear)
        (settings.steps, settings.redraws, settings.redrawStart, settings.redrawEnd) = (7, 3, 500, 300)
        #expect((1...7).map { settings.redraw(after: $0) } == [nil, nil, 0, nil, 1, nil, 2])
        #expect((0..<3).map(settings.redrawTimestep) == [500, 400, 300])
        settings.redraws = 9
        #expect((1...7).map { settings.redraw(after: $0) } == [0, 1, 2, 3, 4, 5, 6])
        #expect(settings.redrawTimestep(0) == 500 && settings.redrawTimestep(6) == 300)
        settings.redraws = 0
        #expect((1...7).allSatisfy { settings.redraw(after: $0) == nil })
        #expect(NaturalDrawing.timesteps(from: 300, steps: 4) == [300, 225, 150, 75])
        #expect(NaturalDrawing.timesteps(from: 1, steps: 9) == [1, 0])
    }
}
