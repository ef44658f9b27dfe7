import Checkpoints
import Files
import Foundation
import Testing

import Studies

/// The reference: 40 generations, 50 time steps, 60 features, analysed by the research code's rules.
struct AnalysisReference {
    let json: JSON
    let analysis: TimestepAnalysis
    let file: SafetensorsFile

    init(order: (Int) -> Int = { $0 }) throws {
        let folder = try #require(Bundle.module.resourcePath) + "/Fixtures"
        json = try JSON.read(folder + "/timesteps.json")
        file = try SafetensorsFile(path: folder + "/timesteps.safetensors")
        let activations = try file.weight("activations")
        let values = activations.floats()
        let size = activations.shape[1] * activations.shape[2]
        let timesteps = try #require(json["timesteps"]?.array).compactMap(\.int)
        let topK = try #require(json["top_k"]?.int)
        var analysis = TimestepAnalysis(
            channels: activations.shape[2], timesteps: timesteps, topK: topK, countsZero: false)
        for position in 0..<activations.shape[0] {
            let generation = order(position)
            values[generation * size..<(generation + 1) * size].withUnsafeBufferPointer {
                analysis.add(generation: generation, activations: UnsafeBufferPointer(rebasing: $0[...]))
            }
        }
        self.analysis = analysis
    }

    func profile(_ channel: Int) -> ActivityProfile {
        let steps = analysis.timesteps.count
        return ActivityProfile(
            timesteps: analysis.timesteps,
            counts: analysis.counts[channel * steps..<(channel + 1) * steps].map { Int($0) })
    }
}

@Suite struct TimestepAnalysisTests {
    @Test func countsFrequenciesAndMaximaEqualTheReference() throws {
        let reference = try AnalysisReference()
        #expect(try reference.file.weight("count").floats() == reference.analysis.counts.map { Float($0) })
        #expect(try reference.file.weight("frequency").floats() == reference.analysis.frequency)
        #expect(try reference.file.weight("max_activation").floats() == reference.analysis.maxActivation)
    }

    @Test func activeStepsAndPeaksEqualTheReference() throws {
        let reference = try AnalysisReference()
        let active = try #require(reference.json["active_timesteps_first_last_count"]?.array)
        let peaks = try #require(reference.json["activity_peaks"]?.array)
        #expect(active.count == 60 && peaks.count == 60)
        for channel in 0..<60 {
            let steps = reference.profile(channel).activeTimesteps
            let summary = steps.isEmpty ? [] : [steps[0], steps[steps.count - 1], steps.count]
            #expect(active[channel].array?.compactMap(\.int) == summary, "channel \(channel)")
            #expect(peaks[channel].array?.compactMap(\.int) == reference.profile(channel).peaks(), "channel \(channel)")
        }
    }

    @Test func theOrderOfGenerationsDoesNotMatter() throws {
        let forward = try AnalysisReference().analysis
        let backward = try AnalysisReference { 39 - $0 }.analysis
        #expect(forward.counts == backward.counts)
        for channel in 0..<60 {
            for step in 0..<50 {
                let examples = forward.examples(channel: channel, step: step)
                #expect(examples == backward.examples(channel: channel, step: step))
                #expect(examples.count == Int(forward.counts[channel * 50 + step]))
                #expect(zip(examples, examples.dropFirst()).allSatisfy { $0.activation >= $1.activation })
            }
        }
    }

    @Test func equalValuesCountTheLowerIndexAndNaNNever() {
        func strongest(_ values: [Float], _ count: Int) -> [Int] {
            values.withUnsafeBufferPointer { TimestepAnalysis.strongest($0, count: count).sorted() }
        }
        #expect(strongest([1, 1, 1, 1], 2) == [0, 1])
        #expect(strongest([0, 3, 2, 3, 1], 2) == [1, 3])
        #expect(strongest([.nan, 3, .nan], 2) == [1])
        #expect(strongest([1, 2], 5) == [0, 1])
        #expect(strongest([0, 5, 4, 5, 5, 6], 3) == [1, 3, 5])
    }

    @Test func zeroCountsForChannelsOnly() {
        let values: [Float] = [0, -1, 0, 2]
        for (countsZero, expected) in [(true, [Int32(1), 0, 1, 1]), (false, [0, 0, 0, 1])] {
            var analysis = TimestepAnalysis(channels: 4, timesteps: [5], topK: 3, countsZero: countsZero)
            values.withUnsafeBufferPointer { analysis.add(generation: 7, activations: $0) }
            #expect(analysis.counts == expected)
            #expect(analysis.maxActivation == [0, 0, 0, 2])
            #expect(analysis.examples(channel: 3, step: 0) == [.init(generation: 7, activation: 2)])
        }
    }
}

@Suite struct ActivityProfileTests {
    @Test func plateausCountOnceInTheirMiddle() {
        #expect(ActivityProfile(timesteps: [1, 101, 202, 301], counts: [0, 4, 4, 1]).peaks() == [151])
        #expect(ActivityProfile(timesteps: [1, 301], counts: [2, 2]).peaks() == [151])
    }

    @Test func theEndsOfTheRangeAreNoPeaks() {
        #expect(ActivityProfile(timesteps: [0, 100], counts: [3, 1]).peaks() == [])
        #expect(ActivityProfile(timesteps: [900, 1000], counts: [1, 3]).peaks() == [])
        #expect(ActivityProfile(timesteps: [1, 999], counts: [3, 3]).peaks() == [500])
    }

    @Test func closeMaximaYieldToHigherAndLaterOnes() {
        let profile = ActivityProfile(timesteps: [1, 51, 101, 151, 201], counts: [3, 1, 3, 1, 2])
        // 101 and 1 are exactly 100 apart and both stay; 201 is 100 from 101 and stays too.
        #expect(profile.peaks() == [1, 101, 201])
        #expect(profile.peaks(separation: 101) == [101])
        #expect(profile.peaks(limit: 1) == [1])
    }

    @Test func stepsBetweenAnActiveAndASilentOneAreActive() {
        let profile = ActivityProfile(timesteps: [10, 14, 18], counts: [0, 2, 0])
        #expect(profile.activeTimesteps == [11, 12, 13, 14, 15, 16, 17])
        #expect(profile.value(at: 12) == 1)
        #expect(profile.value(at: 19) == 0 && profile.value(at: 9) == 0)
    }
}
