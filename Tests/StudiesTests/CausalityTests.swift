import Experiments
import Files
import Foundation
import Ops
import Pictures
import Tensors
import TestSupport
import Testing
import Visualization
import WorkUnits

import Studies

/// Whether steering with a feature changes pictures toward what its dreams show.
@Suite struct CausalityTests {
    @Test func aPairCountsIfItsSecondIsNearer() {
        let goal: [[Float]] = [[2, 0], [0, 0.2]]
        func share(_ pairs: ([Float], [Float])...) -> Double? {
            Measures.shareNearer(pairs.map { (without: $0.0, with: $0.1) }, to: goal)
        }
        #expect(share(([0, 1], [1, 0])) == 1)
        #expect(share(([1, 0], [0, 1])) == 0)
        #expect(share(([0, 1], [0, 1])) == 0.5)
        #expect(share(([0, 1], [1, 0]), ([1, 0], [0, 1]), ([0, 1], [0.5, 0.5]), ([1, 1], [1, 1])) == 0.625)
        #expect(share() == nil)
        #expect(Measures.shareNearer([(without: [0, 1], with: [1, 0])], to: []) == nil)
    }

    @Test func aRandomChangeIsNoNearer() throws {
        let random = CounterRandom(seed: 1, purpose: .noise)
        func vectors(_ count: Int, _ step: Int) -> [[Float]] {
            (0..<count).map { index in (0..<50).map { random.normal(step * 1_000_000 + index * 50 + $0) } }
        }
        let pairs = zip(vectors(2000, 1), vectors(2000, 2)).map { plain, change in
            (without: plain, with: zip(plain, change).map { $0 + 0.3 * $1 })
        }
        #expect(abs(try #require(Measures.shareNearer(pairs, to: vectors(5, 3))) - 0.5) < 0.04)
    }

    /// The measures of a feature of the toy, whose pictures become bright (red to its judge) when anything is added.
    private func measures(_ color: String, strength: Int) throws -> JSON {
        let folder = try TemporaryFolder()
        let toy = try toyStudy(
            folder.path, overrides: ["layers=[layer.a]", "steer.strength_features=\(strength)", "steer.pictures=12"])
        let prompts = (0..<60).map { Prompt(text: "\(color) \($0)", factors: ["color": color]) }
        let study = try Study(folder: folder.path, settings: toy.settings, prompts: prompts, model: ToyModel())
        try runAll(study)
        let index = try #require(study.subjects().first { $0.site.space == .features }).index
        return try JSON.read("\(folder.path)/measure/layer.a/features/\(Text.digits(index, 5))/t0000/measures.json")
    }

    @Test func theEffectIsWhatSteeringAdds() throws {
        let red = try measures("red", strength: 4)
        #expect(red["steered_recognized"]?.double == 1)
        #expect(try #require(red["causal_effect"]?.double) > 0)
        let blue = try measures("blue", strength: 4)
        #expect(blue["steered_recognized"]?.double == 0)
        #expect(try #require(blue["causal_effect"]?.double) < 0)
    }

    @Test func withoutStrengthThereIsNone() throws {
        let measures = try measures("red", strength: 0)
        #expect(measures["causal_effect"]?.double == 0)
        #expect(measures["causal_likeness"]?.double == 0.5)
        #expect(measures["causal_likeness_of_others"]?.double == 0.5)
    }

    /// Pictures in which the subject was among the strongest at any time step come last.
    @Test func picturesAreThoseInWhichItWasNotActive() throws {
        let folder = try TemporaryFolder()
        let study = try toyStudy(folder.path, overrides: ["steer.pictures=12"], prompts: 30)
        try runAll(study)
        for subject in try study.subjects() {
            let path = "\(folder.path)/steer/\(subject.path)"
            let texts = try (0..<12).map { try PNG.read("\(path)/\($0).png").text }
            let seeds = texts.compactMap { text in text.first { $0.keyword == "seed" }?.text }
            let analysis = try study.analysis(subject.site)
            var active: [String: Int] = [:]
            for step in analysis.timesteps.indices {
                for example in analysis.examples(subject.index, step: step) {
                    let (prompt, image, _) = study.picture(of: example.generation)
                    active["\(prompt.seed(study: study.settings.seed, image: image))", default: 0] += 1
                }
            }
            let counts = seeds.map { active[$0, default: 0] }
            #expect(counts == counts.sorted() && Set(seeds).count == 12)
            #expect(subject.site.space == .channels || counts.allSatisfy { $0 == 0 })
        }
    }
}

/// The embedded model, steered.
@Suite struct SteeredPictureTests {
    private static func study(_ folder: String, strength: Int) throws -> Study {
        _ = try StudyFolder.begin(folder, overrides: [], overwrite: true)
        return try StudyFolder.open(
            folder,
            overrides: [
                "prompt_limit=48", "capture.images_per_prompt=1", "capture.steps=8", "capture.sampler=ddim",
                "capture.guidance_scale=4", "choose.features=83", "choose.channels=none", "prior.enabled=false",
                "map.enabled=false", "dream.preset=clear", "dream.timesteps=[301]", "dream.seeds=[1]",
                "dream.pool=256", "steer.strength_features=\(strength)",
            ], engine: Engine(threads: 2))
    }

    /// A study's measures of feature 83, whose examples have diagonal stripes.
    private static func measures(_ study: Study) throws -> JSON {
        try JSON.read("\(study.folder)/measure/\(EmbeddedModel.layer)/features/00083/t0301/measures.json")
    }

    @Test func aFeatureChangesPicturesTowardItsDreamAndNoStrengthNothing() throws {
        let folder = try TemporaryFolder()
        let steered = try Self.study(folder.path, strength: 50)
        try runAll(steered)
        let effect = try Self.measures(steered)
        let likeness = try #require(effect["causal_likeness"]?.double)
        let chance = try #require(effect["causal_likeness_of_others"]?.double)
        #expect(likeness >= 0.75 && likeness > chance + 0.1, "\(likeness), by chance \(chance)")
        #expect((0.2...0.8).contains(chance))
        let plain = try Self.study(folder.path, strength: 0)
        try runAll(plain)
        let none = try Self.measures(plain)
        #expect(none["causal_likeness"]?.double == 0.5 && none["causal_likeness_of_others"]?.double == 0.5)
        // The picture of the same seed, whatever its prompt, is the dataset's.
        let stage = "\(folder.path)/steer/\(EmbeddedModel.layer)/features/00083"
        let (picture, text) = try PNG.read(stage + "/0.png")
        let prompt = try #require(text.first { $0.keyword == "prompt" }?.text)
        let source = try #require(plain.prompts.first { $0.text == prompt })
        #expect(picture == (try PNG.read("\(folder.path)/capture/\(source.id)/0.png").bitmap))
    }
}
