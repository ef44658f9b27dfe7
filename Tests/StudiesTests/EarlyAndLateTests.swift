import Files
import TestSupport
import Testing

import Studies

/// Dreams of a feature at several time steps.
@Suite struct EarlyAndLateTests {
    private let profile = ActivityProfile(
        timesteps: Array(stride(from: 1, through: 901, by: 100)), counts: [0, 0, 2, 6, 9, 9, 3, 5, 1, 0])

    @Test func betweenIsHalfwayBetweenNeighbouringPeaks() {
        #expect(profile.between([701, 451]) == [576])
        #expect(profile.between([451, 701, 101]) == [276, 576])
    }

    @Test func aSinglePeakHasTheMiddlesOfBothSides() {
        // Active from 102 to 900.
        #expect(profile.between([451]) == [276, 675])
        #expect(profile.between([851]) == [476])
        #expect(profile.between([451], separation: 400) == [675])
        #expect(profile.between([]) == [])
        #expect(ActivityProfile(timesteps: [1, 21], counts: [0, 0]).between([21]) == [])
    }

    @Test func constancyComparesDifferentTimeSteps() throws {
        let a: [Int: [Float]] = [1: [1, 0], 301: [0.6, 0.8], 601: [0, 1]]
        let mean = (0.6 + 0 + 0.8) / 3
        #expect(abs(try #require(Measures.constancy(a, with: a)) - mean) < 1e-6)
        // At its own time step nothing is compared.
        #expect(Measures.constancy([1: [1, 0]], with: [1: [1, 0]]) == nil)
        #expect(Measures.constancy([1: [1, 0]], with: [1: [1, 0], 2: [0, 1]]) == 0)
    }

    @Test func aStudyDreamsBetweenPeaksAndTellsHowAlikeTheyAre() throws {
        let folder = try TemporaryFolder()
        let study = try toyStudy(
            folder.path,
            overrides: ["layers=[layer.a]", "dream.timesteps=[peaks, between]", "analysis.peak_separation=200"], prompts: 20)
        try runAll(study)
        _ = try Report.write(study)
        let index = try JSON.read(folder.path + "/report/data/index.json")
        let columns = try #require(index["columns"])
        var compared = 0
        for (row, number) in try #require(columns["index"]?.array).enumerated() {
            let dreams = try #require(columns["dreams"]?.array?[row].array).compactMap(\.int)
            let place = try #require(columns["site"]?.array?[row].int)
            let site = try #require(index["sites"]?.array?[place].string)
            let page = try JSON.read("\(folder.path)/report/data/\(site)/\(number.int ?? -1).json")
            let peaks = try #require(page["peaks"]?.array).compactMap(\.int)
            #expect(dreams.isEmpty || dreams.count > 1 || peaks.count <= 1)
            #expect(dreams == dreams.sorted() && Set(dreams).isSuperset(of: dreams.isEmpty ? [] : peaks))
            let constancy = columns["measures"]?["constancy"]?.array?[row].double
            let chance = columns["measures"]?["constancy_of_others"]?.array?[row].double
            #expect((constancy != nil) == (dreams.count > 1) && (chance != nil) == (dreams.count > 1))
            compared += dreams.count > peaks.count ? 1 : 0
            #expect((-1.001...1.001).contains(constancy ?? 0))
        }
        #expect(compared > 0)
        let names = index["summary"]?.array?.first?["rows"]?.array?.compactMap { $0["name"]?.string } ?? []
        #expect(names.filter { $0.hasPrefix("constancy") } == ["constancy", "constancy_of_others", "constancy_of_seeds"])
    }
}
