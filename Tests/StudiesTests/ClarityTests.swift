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

/// The measures that look at a result with other eyes than the optimized layer's.
@Suite struct ClarityTests {
    @Test func anExampleIsIdentifiedAndWhatIsLikeARivalsIsNot() {
        let own: [[Float]] = [[1, 0, 0], [0.8, 0.6, 0]]
        let identification = Identification(own: own, others: [[[0, 1, 0], [0, 0.8, 0.6]], [[0, 0, 1]]])
        #expect(own.map(identification.isOwn) == [true, true])
        #expect(identification.isOwn([0, 0, 1]) == false)
        #expect(identification.isOwn([-1, 0, 0]) == false)
        // A feature of scattered examples is no less like its own than one of equal ones.
        let scattered: [[Float]] = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
        #expect(Identification(own: scattered, others: [[[0.8, 0.6, 0]]]).isOwn([0.5, 0.5, 0.7]) == true)
        // As like one as the other is not found.
        #expect(Identification(own: [[1, 0]], others: [[[1, 0]]]).isOwn([1, 0]) == false)
        // Without rivals, or without examples, there is nothing to be told apart.
        #expect(Identification(own: own, others: []).isOwn([0, 0, 1]) == nil)
        #expect(Identification(own: [], others: [own]).isOwn([1, 0, 0]) == nil)
    }

    @Test func examplesAreLeftOutOfTheirOwn() {
        // Without the second, the first is all there is, and the rival is nearer to the second.
        let identification = Identification(own: [[1, 0], [0, 1]], others: [[[0.6, 0.8]]])
        #expect(identification.ownLeftOut == [false, false])
        #expect(Identification(own: [[1, 0], [0.8, 0.6]], others: [[[0, 1]]]).ownLeftOut == [true, true])
        #expect(Identification(own: [[1, 0]], others: [[[0, 1]]]).ownLeftOut == [])
    }

    @Test func naturalnessIsTheShareThatIsNoEasier() {
        let dataset: [[Float]] = [[1, 2, 3, 4], [10, 20, 30, 40]]
        #expect(Measures.naturalness([0.5, 5], among: dataset) == 1)
        #expect(Measures.naturalness([1, 10], among: dataset) == 1)
        #expect(Measures.naturalness([3, 40], among: dataset) == (0.5 + 0.25) / 2)
        #expect(Measures.naturalness([5, 50], among: dataset) == 0)
        #expect(Measures.naturalness([.nan, .nan], among: dataset) == 0)
    }

    @Test func retentionIsTheMeanShareOfWhatWasThere() {
        #expect(Measures.retention(before: [2, 4], after: [1, 4]) == 0.75)
        #expect(Measures.retention(before: [2, 0], after: [1, 3]) == 0.5)
        #expect(Measures.retention(before: [0], after: [1]) == nil)
    }

    @Test func tenOfTwelveMustShareAValueThatTheJudgeKnows() throws {
        let classes = ["color": ["red", "blue"], "shape": ["ring"]]
        func shared(_ examples: [[String: String]]) -> String? {
            Measures.shared(examples, known: classes, atLeast: 10).map { "\($0.factor) \($0.value)" }
        }
        func examples(_ red: Int, _ rings: Int, of count: Int = 12) -> [[String: String]] {
            (0..<count).map {
                ["color": $0 < red ? "red" : "blue", "shape": $0 < rings ? "ring" : "star", "size": "small"]
            }
        }
        #expect(shared(examples(10, 3)) == "color red")
        #expect(shared(examples(9, 3)) == nil)
        #expect(shared(examples(10, 11)) == "shape ring")
        #expect(shared(examples(11, 11)) == "color red")
        #expect(shared(examples(9, 9, of: 9)) == nil)
        #expect(shared(Array(repeating: ["size": "small"], count: 12)) == nil)
    }

    /// Every prompt is red to the toy's judge if its picture is bright, as all of its dreams are at the end.
    @Test func aStudyLeadsWithThem() throws {
        let folder = try TemporaryFolder()
        let toy = try toyStudy(folder.path, overrides: ["layers=[layer.a]"])
        func study(_ color: String) throws -> Study {
            let prompts = (0..<60).map { Prompt(text: "\(color) \($0)", factors: ["color": color]) }
            return try Study(folder: "\(folder.path)/\(color)", settings: toy.settings, prompts: prompts, model: ToyModel())
        }
        for (color, expected) in [("red", 1.0), ("blue", 0.0)] {
            let study = try study(color)
            try OutputFile.makeFolder(study.folder)
            try runAll(study)
            let index = try #require(study.subjects().first { $0.site.space == .features }).index
            let path = "\(study.folder)/measure/layer.a/features/\(Text.digits(index, 5))/t0000/measures.json"
            let measures = try #require(try JSON.read(path).object)
            #expect(measures["recognized"]?.double == expected)
            let chance = try #require(measures["identification_by_chance"]?.double)
            #expect(chance >= 1 / 16 && chance <= 1 / 3)
            for name in ["identification", "naturalness", "recognized_of_others"] {
                #expect((0...1).contains(try #require(measures[name]?.double)))
            }
            _ = try Report.write(study)
            let report = try JSON.read(study.folder + "/report/data/index.json")
            let rows = try #require(report["summary"]?.array?.first?["rows"]?.array)
            #expect(
                rows.compactMap { $0["name"]?.string }.prefix(14) == [
                    "recognized", "recognized_of_examples", "recognized_of_others", "identification",
                    "identification_of_examples", "identification_by_chance", "naturalness", "retention",
                    "retention_of_others", "causal_effect", "steered_recognized", "causal_likeness",
                    "causal_likeness_of_others", "reach",
                ])
            let columns = try #require(report["columns"])
            let row = try #require(columns["index"]?.array?.firstIndex(of: .integer(index)))
            let doubts = try #require(columns["doubts"]?.array?[row].array).compactMap(\.string)
            #expect(doubts.contains { $0.hasPrefix("most of its results do not show") } == (color == "blue"))
            #expect(try #require(columns["clarity"]?.array?[row].double) <= (color == "red" ? 1 : 0.5))
        }
    }

    @Test func measuringNeedsTheReference() throws {
        let folder = try TemporaryFolder()
        let study = try toyStudy(folder.path)
        let runner = try StageRunner(study: folder.path)
        let stages = study.stages
        for stage in stages.prefix(4) { _ = try runner.run(stage) }
        #expect(stages.map(\.name).suffix(4) == ["reference", "steer", "measure", "map"])
        let failure = #expect(throws: SimpleFailure.self) {
            for stage in stages.dropFirst(6).prefix(1) { _ = try runner.run(stage) }
        }
        #expect(failure?.kind == .stoppedEarly)
        #expect(failure?.description.contains("6 of 6 prompts have no reference") == true)
    }
}

/// The embedded model's answers.
@Suite struct NetworkResponseTests {
    private static func model(threads: Int) throws -> NetworkModel {
        try NetworkModel(ModelSession(ModelReference(EmbeddedModel.name), engine: Engine(threads: threads)))
    }

    /// A red ground with a white square.
    private static let picture = {
        var picture = Bitmap(width: 64, height: 64, red: 220, green: 40, blue: 40)
        picture.draw(Bitmap(width: 28, height: 28, red: 245, green: 245, blue: 245), x: 18, y: 18)
        return picture
    }()

    @Test func noiseIsNotNaturalAndThreadsChangeNothing() throws {
        let model = try Self.model(threads: 1)
        let random = CounterRandom(seed: 3, purpose: .noise)
        let noise = Bitmap(width: 64, height: 64, pixels: (0..<64 * 64 * 3).map { UInt8(random.bits($0) & 255) })
        let timesteps = [101, 501]
        let natural = try model.response(to: model.latent(of: Self.picture), timesteps: timesteps)
        let odd = try model.response(to: model.latent(of: noise), timesteps: timesteps)
        #expect(Measures.naturalness(odd.errors, among: natural.errors.map { [$0] }) == 0)
        #expect(Measures.naturalness(natural.errors, among: odd.errors.map { [$0] }) == 1)
        let other = try Self.model(threads: 3)
        let again = try other.response(to: other.latent(of: Self.picture), timesteps: timesteps)
        #expect(again.errors == natural.errors)
        #expect(again.levels.map(\.activations) == natural.levels.map(\.activations))
    }

    @Test func levelsAreThoseOfTheNetworkInTheirOrder() throws {
        let model = try Self.model(threads: 1)
        let response = try model.response(to: model.latent(of: Self.picture), timesteps: [301])
        let names = response.levels.map(\.name)
        #expect(names.contains("mid_block.resnets.1") && names.allSatisfy { !$0.contains("samplers") })
        let levels = names.map { $0.split(separator: ".").prefix($0.hasPrefix("mid") ? 1 : 2) }
        #expect(Set(levels).count == names.count)
        let order = model.session.folder.unetConfig.hookPoints().map(\.name)
        #expect(names == order.filter(names.contains))
        for level in response.levels {
            #expect(level.activations.count == 1)
            #expect(level.activations[0].count == (try model.session.hook(level.name).channels))
            #expect(level.activations[0].contains { $0 != 0 })
        }
    }
}
