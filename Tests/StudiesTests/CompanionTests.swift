import Files
import Foundation
import TestSupport
import Testing
import Visualization
import WorkUnits

import Studies

/// Dreams of the same in other ways, for comparison.
@Suite struct CompanionTests {
    private let compared = ["layers=[layer.a]", "dream_features.compare=[tuned, clear]", "dream.pool=70"]

    @Test func theyAreUnitsOfTheirOwnAndChangeNoOthers() throws {
        let (folder, fresh) = (try TemporaryFolder(), try TemporaryFolder())
        try runAll(toyStudy(folder.path, overrides: ["layers=[layer.a]"]))
        let before = try contents(folder.path)
        try runAll(toyStudy(folder.path, overrides: compared))
        let after = try contents(folder.path)
        #expect(before.allSatisfy { after[$0.key] == $0.value })
        let added = Set(after.keys).subtracting(before.keys)
        for way in ["tuned", "clear"] {
            for file in ["dream/layer.a/features/", "measure/layer.a/features/"] {
                #expect(added.contains { $0.hasPrefix(file) && $0.contains("/t0000-\(way)/") })
            }
        }
        #expect(!added.contains { $0.contains("/channels/") || $0.hasPrefix("map/") })
        // Drawn at once by three processes, whatever their order.
        let study = try toyStudy(fresh.path, overrides: compared)
        for stage in study.stages {
            for index in [1, 2, 0] { _ = try StageRunner(study: fresh.path, shard: Shard("\(index)/3")).run(stage) }
        }
        #expect(try contents(fresh.path) == after)
    }

    @Test func aWayIsThePresetsButForThePlace() throws {
        let settings = try toyStudy("nowhere", overrides: compared + ["dream_features.where=peak"]).settings
        let (own, clear) = (settings.dream(.features), settings.dream(.features, .preset("clear")))
        #expect(clear.start == .pool && own.start == .prior && settings.usesPool)
        var preset = DreamSettings(.clear)
        preset.where = try #require(Where("peak"))
        #expect(try clear.dreamSettings() == preset)
        #expect(settings.companions(.features) == [.preset("tuned"), .preset("clear")])
        // The same settings under another name are nothing to compare with.
        let same = try toyStudy("nowhere", overrides: ["dream.preset=tuned", "dream_channels.compare=[tuned, paper]"]).settings
        #expect(same.companions(.channels) == [.preset("paper")])
        #expect(try toyStudy("nowhere", overrides: ["dream.preset=clear"]).settings.companions(.features) == [.preset("tuned")])
    }

    @Test func aPoolIsSearchedOnceForAllWays() throws {
        let folder = try TemporaryFolder()
        let both = ["layers=[layer.a]", "dream_features.start=pool", "dream.pool=70", "dream.timesteps=[0]"]
        let study = try toyStudy(folder.path, overrides: both + ["dream_features.compare=[clear]"])
        let runner = try StageRunner(study: folder.path)
        for stage in study.stages.prefix(4) { _ = try runner.run(stage) }
        let search = try #require(study.stage(.search))
        #expect(try runner.run(search) == 0)
        let store = try contents(folder.path).keys.filter { $0.hasPrefix("search/") }
        let alone = try toyStudy(folder.path, overrides: both)
        #expect(try StudyStatus(alone).stages.first { $0.stage == "search" }?.left == 0)
        #expect(store.filter { $0.hasSuffix("starts.json") }.count == 1)
    }

    @Test func theGalleryShowsThemBesideTheDream() throws {
        let folder = try TemporaryFolder()
        let study = try toyStudy(folder.path, overrides: compared)
        try runAll(study)
        _ = try Report.write(study)
        let report = folder.path + "/report"
        let subject = try #require(study.subjects().first { $0.site.space == .features })
        let page = try JSON.read("\(report)/data/layer.a/features/\(subject.index).json")
        for dream in try #require(page["dreams"]?.array) {
            #expect(dream["way"]?.string == "paper")
            let companions = try #require(dream["companions"]?.array)
            #expect(companions.compactMap { $0["way"]?.string } == ["tuned", "clear"])
            for companion in companions {
                #expect(companion["timestep"] == dream["timestep"] && companion["seeds"] == dream["seeds"])
                #expect(companion["measures"]?["reach"]?.double != nil && companion["companions"]?.array == [])
                let pictures = try #require(companion["pictures"]?.array).compactMap(\.string)
                #expect(pictures.allSatisfy { FileManager.default.fileExists(atPath: "\(report)/\($0)") })
            }
        }
        let summary = try #require(JSON.read(report + "/data/index.json")["summary"]?.array)
        #expect(summary.compactMap { $0["title"]?.string } == ["layer.a", "layer.a, for comparison"])
        #expect(summary[0]["columns"] == ["features", "channels"])
        #expect(summary[1]["columns"] == ["features, clear", "features, tuned"])
    }
}
