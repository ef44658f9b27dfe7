import Experiments
import Files
import Foundation
import Ops
import Pictures
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
    private static let prompts = [
        "a small white circle on a gray background", "a large red ring on a plain cyan background",
        "a small blue star on a plain pink background", "a large orange square on a plain green background",
    ]

    @Test func aFeatureOfStripesMakesStripes() throws {
        let model = try NetworkModel(
            ModelSession(
                ModelReference(EmbeddedModel.name, autoencoders: EmbeddedModel.name), engine: Engine(threads: 2)),
            judge: .embedded)
        let judge = try #require(try model.judge())
        let settings = StudySettings(
            try SettingsFile.parse("capture: {steps: 10, sampler: ddim, guidance_scale: 4}", name: "s")
        ).capture
        func pictures(_ feature: Int, _ strength: Float) throws -> [Bitmap] {
            let site = Site(layer: EmbeddedModel.layer, space: .features)
            return try Self.prompts.enumerated().map { index, prompt in
                try model.steered(
                    Subject(site: site, index: feature), prompt: prompt, seed: index,
                    strength: SteeringStrength(timesteps: [0, 999], strengths: [strength, strength]),
                    settings: settings, check: {}
                ).picture
            }
        }
        func stripes(_ pictures: [Bitmap]) -> Int {
            pictures.count { judge.choices($0)?["pattern"] == "vertical stripes" }
        }
        let plain = try pictures(570, 0)
        let captured = try Self.prompts.enumerated().map { index, prompt in
            try model.capture(
                prompt: prompt, seed: index, settings: settings, sites: [], places: [:], halves: "conditional",
                check: {}
            ).picture
        }
        #expect(plain == captured)
        #expect(stripes(plain) == 0)
        #expect(stripes(try pictures(570, 10)) >= 3)
    }
}
