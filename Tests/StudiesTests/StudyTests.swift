import Files
import Foundation
import Pictures
import TestSupport
import Testing
import Visualization
import WorkUnits

import Studies

@Suite struct StudyTests {
    @Test func aStudyRunsThroughAndIsNotRedone() throws {
        let folder = try TemporaryFolder()
        try runAll(toyStudy(folder.path))
        let first = try contents(folder.path)
        #expect(first.keys.contains { $0.hasPrefix("measure/layer.b/channels/00001/t0000/") })
        let runner = try StageRunner(study: folder.path) { event in
            if case .unit(let stage, let id, _, _, _, _) = event { Issue.record("\(stage) \(id) was done again") }
        }
        for stage in try toyStudy(folder.path).stages { _ = try runner.run(stage) }
        #expect(try contents(folder.path) == first)
    }

    @Test(arguments: [2, 3, 7])
    func shardsGiveTheSameBytes(count: Int) throws {
        let (whole, split) = (try TemporaryFolder(), try TemporaryFolder())
        try runAll(toyStudy(whole.path))
        let study = try toyStudy(split.path)
        for stage in study.stages {
            for index in (0..<count).reversed() {
                _ = try StageRunner(study: split.path, shard: Shard("\(index)/\(count)")).run(stage)
            }
        }
        #expect(try contents(split.path) == contents(whole.path))
    }

    /// The first feature that a study of the toy model measured.
    private func subject(_ made: [String: Data]) -> String {
        let prefix = "measure/layer.a/features/"
        return made.keys.sorted().first { $0.hasPrefix(prefix) }.map { String($0.dropFirst(prefix.count).prefix(5)) } ?? ""
    }

    @Test func dreamsStartFromThePool() throws {
        let (whole, split) = (try TemporaryFolder(), try TemporaryFolder())
        let overrides = ["dream_features.start=pool", "dream.pool=70"]
        try runAll(toyStudy(whole.path, overrides: overrides))
        let made = try contents(whole.path)
        for unit in ["pool/000000/", "pool/000064/", "search/layer.a/features/t0000/"] {
            #expect(made.keys.contains { $0.hasPrefix(unit) })
        }
        #expect(!made.keys.contains { $0.hasPrefix("search/layer.a/channels") })
        let measures = try JSON.read(whole.path + "/measure/layer.a/features/\(subject(made))/t0000/measures.json")
        #expect(measures["start_reach"]?.double != nil && measures["start_recognized"] != nil)
        let study = try toyStudy(split.path, overrides: overrides)
        for stage in study.stages {
            for index in [2, 0, 1] { _ = try StageRunner(study: split.path, shard: Shard("\(index)/3")).run(stage) }
        }
        #expect(try contents(split.path) == made)
        let larger = try toyStudy(whole.path, overrides: ["dream_features.start=pool", "dream.pool=80"])
        func isOutdated(_ stage: some WorkStage) throws -> Bool {
            let store = UnitStore(study: whole.path, stage: stage.name)
            return try stage.units().contains { store.state(of: $0) != .done }
        }
        let outdated = try larger.stages.filter { try isOutdated($0) }
        #expect(outdated.map(\.name) == ["pool", "search", "dream", "measure", "map"])
    }

    /// A signal in the middle of a unit: what it had is kept, and the next attempt goes on there.
    @Test(arguments: [("capture", 5), ("prior", 3), ("dream", 50), ("steer", 5)])
    func aSignalLosesNothing(stage: String, after: Int) throws {
        let (whole, stopped) = (try TemporaryFolder(), try TemporaryFolder())
        let work = Tally()
        func study(_ folder: String, stop: StopFlag?) throws -> Study {
            // Units of three pictures, three priors, twenty steps.
            let study = try toyStudy(folder, overrides: ["capture.images_per_prompt=3", "prior.seeds=[7, 8, 9]"])
            (study.model as? ToyModel)?.worked = { name in
                work.add(name == stage ? 1 : 0)
                if name == stage, work.values[1] == after { stop?.raise() }
            }
            return study
        }
        try runAll(study(whole.path, stop: nil))
        let needed = work.values[1]
        work.reset()
        let stop = StopFlag()
        let failure = #expect(throws: SimpleFailure.self) { try runAll(study(stopped.path, stop: stop), stop: stop) }
        #expect(failure?.kind == .stoppedEarly)
        #expect(FileManager.default.fileExists(atPath: stopped.path + "/partial/\(stage)"))
        try runAll(study(stopped.path, stop: nil))
        #expect(try contents(stopped.path) == contents(whole.path))
        #expect(!FileManager.default.fileExists(atPath: stopped.path + "/partial"))
        // A picture that was stopped in its middle is drawn again; a step of an optimization is not.
        #expect(work.values[1] == needed.map { $0 + (stage == "dream" ? 0 : 1) })
    }

    @Test func aShardAloneCannotAnalyse() throws {
        let folder = try TemporaryFolder()
        let failure = #expect(throws: SimpleFailure.self) {
            try runAll(toyStudy(folder.path), shard: Shard("0/2"))
        }
        #expect(failure?.kind == .stoppedEarly || failure == nil)
        #expect(failure?.description.contains("3 of 6 prompts are not captured") == true)
    }

    @Test func onlyWhatDependsOnAChangeIsDoneAgain() throws {
        let folder = try TemporaryFolder()
        try runAll(toyStudy(folder.path))
        func redone(_ overrides: [String]) throws -> Set<String> {
            Set(try toyStudy(folder.path, overrides: overrides).stages.filter { try isIncomplete($0) }.map(\.name))
        }
        func isIncomplete(_ stage: some WorkStage) throws -> Bool {
            let store = UnitStore(study: folder.path, stage: stage.name)
            return try stage.units().contains { store.state(of: $0) != .done }
        }
        #expect(try redone([]).isEmpty)
        #expect(try redone(["report.title=other"]).isEmpty)
        #expect(try redone(["measure.noise_draws=3"]) == ["measure"])
        #expect(try redone(["dream_channels.steps=7"]) == ["dream", "measure", "map"])
        #expect(try redone(["map.noise_draws=3"]) == ["map"])
        #expect(try redone(["steer.pictures=3"]) == ["steer", "measure"])
        #expect(try redone(["steer.strength_features=3"]) == ["steer", "measure"])
        let ranked = try toyStudy(folder.path, overrides: ["dream_channels.where=peak"])
        let redrawn = try ranked.stage(.capture).map { try isIncomplete($0) }
        #expect(redrawn == true)
        #expect(try redone(["prior.steps=7"]) == ["prior", "dream", "measure", "map"])
    }

    @Test func askingForTheStatusWritesNothing() throws {
        let folder = try TemporaryFolder()
        let fresh = try StudyStatus(toyStudy(folder.path))
        #expect(try folder.contents.isEmpty)
        let all = StageName.allCases.map(\.rawValue)
        #expect(fresh.stages.map(\.stage) == all.filter { !["pool", "search"].contains($0) })
        #expect(try StudyStatus(toyStudy(folder.path, overrides: ["dream_features.start=pool"])).stages.map(\.stage) == all)
        try runAll(toyStudy(folder.path))
        // A claim of a host that does not answer, which whoever runs would clear away.
        try (["host": "elsewhere", "process": 1, "started": 1] as JSON).write(
            to: folder.path + "/claims/dream~x.json", overwrite: false)
        let before = try FileManager.default.subpathsOfDirectory(atPath: folder.path).sorted()
        let status = try StudyStatus(toyStudy(folder.path))
        #expect(status.stages.map(\.left) == [0, 0, 0, 0, 0, 0, 0, 0])
        #expect(status.stages.map(\.running) == [0, 0, 0, 1, 0, 0, 0, 0])
        #expect(try FileManager.default.subpathsOfDirectory(atPath: folder.path).sorted() == before)
    }

    @Test func aStudyWithoutPriorsHasNoSuchStage() throws {
        let study = try toyStudy("nowhere", overrides: ["prior.enabled=false"])
        #expect(study.stage(.prior) == nil)
        #expect(study.stages.map(\.name) == ["capture", "analysis", "dream", "reference", "steer", "measure", "map"])
        #expect(try toyStudy("nowhere", overrides: ["steer.enabled=false"]).stage(.steer) == nil)
        #expect(try toyStudy("nowhere", overrides: ["map.enabled=false"]).stage(.map) == nil)
    }

    @Test func choicesAreUnderstood() throws {
        let folder = try TemporaryFolder()
        let study = try toyStudy(folder.path)
        let runner = try StageRunner(study: folder.path)
        for stage in study.stages.prefix(2) { _ = try runner.run(stage) }
        let site = Site(layer: "layer.a", space: .features)
        let analysis = try study.analysis(site)
        let words = try ExampleWords(study, site)
        func choose(_ text: String) throws -> [Int] { try FeatureChoice(text).select(from: analysis, words: words) }
        #expect(try choose("all") == Array(0..<24))
        #expect(try choose("none") == [])
        #expect(try choose("3, 5-7, 6") == [3, 5, 6, 7])
        let totals = (0..<24).map { analysis.profile($0).counts.reduce(0, +) }
        let active = try choose("most-active:4")
        #expect(active.count == 4)
        let others = totals.enumerated().filter { !active.contains($0.offset) }.map(\.element)
        #expect(active.map { totals[$0] }.min()! >= others.max()!)
        #expect(totals[try choose("rarest:1")[0]] == totals.filter { $0 > 0 }.min())
        let red = try choose("word:red:3")
        #expect(red.allSatisfy { words.share(of: "red", $0) > words.baseShare(of: "red") })
        #expect(throws: SimpleFailure.self) { try choose("24") }
        for text in ["most-loud:3", "9-3", "word:red", "-4", "most-active:0"] {
            let failure = #expect(throws: SimpleFailure.self) { try FeatureChoice(text) }
            #expect(failure?.kind == .usage)
        }
    }

    @Test func theGalleryHoldsEverything() throws {
        let folder = try TemporaryFolder()
        let study = try toyStudy(folder.path, overrides: ["report.title=<Toys> & more"])
        try runAll(study)
        let page = try Report.write(study)
        let report = folder.path + "/report"
        #expect(page == report + "/index.html")
        #expect(try String(contentsOfFile: page, encoding: .utf8).contains("&lt;Toys&gt; &amp; more"))
        let index = try JSON.read(report + "/data/index.json")
        let columns = try #require(index["columns"])
        let numbers = try #require(columns["index"]?.array)
        let sites = try #require(index["sites"]?.array).compactMap(\.string)
        #expect(sites == ["layer.a/features", "layer.a/channels", "layer.b/features", "layer.b/channels"])
        for (row, number) in numbers.enumerated() {
            let site = sites[try #require(columns["site"]?.array?[row].int)]
            let feature = try JSON.read("\(report)/data/\(site)/\(try #require(number.int)).json")
            let script = try String(contentsOfFile: "\(report)/data/\(site)/\(number.int ?? 0).js", encoding: .utf8)
            #expect(script.hasPrefix("lvo.feature(\"\(site)/\(number.int ?? 0)\",{"))
            var pictures = feature["examples"]?.array?.compactMap { $0["picture"]?.string } ?? []
            for dream in feature["dreams"]?.array ?? [] {
                pictures += dream["pictures"]?.array?.compactMap(\.string) ?? []
                pictures.append(try #require(dream["history"]?.string))
            }
            let isDreamt = feature["dreams"]?.array?.isEmpty == false
            for part in ["examples", "dreams"] {
                let maps = feature["maps"]?[part]
                #expect(isDreamt == (maps?["picture"]?.string != nil) || feature["examples"]?.array?.isEmpty == true)
                guard let path = maps?["picture"]?.string else { continue }
                let picture = try PNG.read("\(report)/\(path)").bitmap
                let steps = try #require(feature["maps"]?["timesteps"]?.array).count
                let count = part == "dreams" ? 2 : feature["examples"]?.array?.count ?? 0
                #expect(picture.width == 3 * count && picture.height == 2 * steps)
                #expect(maps?["largest"]?.array?.count == steps)
            }
            let steered = feature["steered"]?.array ?? []
            #expect(steered.count == (isDreamt ? 8 : 0))
            pictures += steered.flatMap { pair in ["without", "with"].compactMap { pair[$0]?.string } }
            #expect(pictures.allSatisfy { FileManager.default.fileExists(atPath: report + "/" + $0) })
        }
        let dreamt = try #require(columns["dreams"]?.array).filter { $0.array?.isEmpty == false }
        #expect(dreamt.count == (try study.subjects()).count)
        #expect(FileManager.default.fileExists(atPath: report + "/sheet.png"))
        // Again, over the old one.
        _ = try Report.write(study)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).allSatisfy { !$0.hasPrefix(".") })
    }
}

@Suite struct MeasuresTests {
    @Test func eachIsItsFormula() throws {
        #expect(Measures.reach(activation: 3, largest: 2) == 1.5)
        #expect(Measures.reach(activation: 3, largest: 0) == nil)
        #expect(Measures.rank(of: 1, in: [1, 3, 5, 3]) == 2)
        #expect(Measures.zScore(of: 2, in: [1, 1, 4]) == 2 / 3.0.squareRoot())
        #expect(Measures.zScore(of: 0, in: [2, 2]) == 0)
        #expect(abs(Measures.cosine([1, 0], [1, 1]) - 0.5.squareRoot()) < 1e-12)
        #expect(Measures.cosine([0, 0], [1, 1]) == 0)
        #expect(Measures.agreement([[1, 0]], [[1, 0], [0, 1]]) == 0.5)
        #expect(Measures.diversity([[1, 0], [0, 1], [1, 0]], around: [0, 0]) == 2 / 3.0)
        #expect(Measures.diversity([[1, 0]], around: [0, 0]) == nil)
        // Strong in every picture alike, the first number says nothing about how they differ.
        let alike: [[Float]] = [[100, 1, 0], [100, 0, 1]]
        #expect(try #require(Measures.diversity(alike, around: [0, 0, 0])) < 0.001)
        #expect(try #require(Measures.diversity(alike, around: [100, 0, 0])) == 1)
        #expect(Measures.stability([1, 4, 2]) == 0.25)
        #expect(Measures.stability([-1, 4]) == 0)
        #expect(Measures.quantile(0.25, of: [4, 1, 3, 2]) == 1.75)
        #expect(Measures.quantile(0.5, of: []) == nil)
    }

    @Test func purityFindsTheSharedValue() throws {
        let factors = [
            ["color": "red", "shape": "star"], ["color": "red", "shape": "ring"], ["color": "blue", "shape": "star"],
            ["color": "red"],
        ]
        let purity = try #require(Measures.purity(factors))
        #expect(purity.factor == "color" && purity.value == "red" && purity.share == 0.75)
        #expect(Measures.purity([[:], [:]]) == nil)
    }
}
