import Ops
import Tensors
import Testing

import Visualization

@Suite struct PoolingTests {
    let engine: Engine

    init() throws { engine = try Engine(threads: 1) }

    /// Of a map whose one channel has these values.
    func value(_ pooling: Pooling, _ values: [Float]) -> Double {
        Objective([.init(.channel(0))], pooling: pooling).value(
            Tensor([values.count, 1], values), rectifier: .relu, engine: engine)
    }

    func gradient(_ pooling: Pooling, _ values: [Float]) -> [Float] {
        Objective([.init(.channel(0))], pooling: pooling).evaluate(
            Tensor([values.count, 1], values), rectifier: .relu, engine: engine
        ).gradient.array
    }

    let values: [Float] = [0.3, -1, 4, 2, 0, 0.5, 3.5, -2]

    @Test func aPeakLiesBetweenMeanAndMaximum() {
        let mean = value(.mean, values)
        let peaks = [1e-4, 0.5, 1, 2, 4, 8, 1000].map { value(.peak(sharpness: $0), values) }
        #expect(abs(peaks[0] - mean) < 1e-3)
        #expect(zip(peaks, peaks.dropFirst()).allSatisfy(<))
        #expect(peaks.last! <= 4 && peaks.last! > 3.99)
    }

    /// The same sharpness for faint and strong features, with and without an offset.
    @Test func aPeakDoesNotDependOnTheScale() {
        let peak = Pooling.peak(sharpness: 4)
        let (own, slopes) = (value(peak, values), gradient(peak, values))
        for (factor, offset) in [(Float(1000), Float(0)), (1e-3, 0), (1, 50)] {
            let changed = values.map { $0 * factor + offset }
            #expect(abs(value(peak, changed) - (own * Double(factor) + Double(offset))) < 1e-4 * Double(factor))
            #expect(zip(gradient(peak, changed), slopes).allSatisfy { abs($0 - $1) < 1e-4 })
        }
        #expect(abs(slopes.reduce(0, +) - 1) < 1e-6)
    }

    @Test func equalValuesHaveTheirMeanAsPeak() {
        let peak = Pooling.peak(sharpness: 4)
        #expect(value(peak, [2, 2, 2, 2]) == 2)
        #expect(gradient(peak, [0, 0, 0, 0]) == [0.25, 0.25, 0.25, 0.25])
    }

    @Test func anythingNotFiniteShowsInThePeak() {
        #expect(!value(.peak(sharpness: 4), [1, .infinity, 0]).isFinite)
        #expect(value(.peak(sharpness: 4), [1, .nan, 0]).isNaN)
    }

    @Test func aMapIsReducedChannelByChannel() {
        let map = randomTensor([16, 5], seed: 3)
        for pooling in [Pooling.mean, .peak(sharpness: 2), .weights(Array(repeating: 1 / 16, count: 16))] {
            for (channel, reduced) in pooling.reduce(map).enumerated() {
                let single = Objective([.init(.channel(channel))], pooling: pooling)
                let own = single.value(map, rectifier: .relu, engine: engine)
                #expect(reduced == own)
            }
        }
    }

    @Test(arguments: [
        ("mean", Where.mean), ("peak", .peak(sharpness: Where.standardSharpness)), ("peak:0.5", .peak(sharpness: 0.5)),
        ("peak 8", .peak(sharpness: 8)), ("3,0", .position(x: 3, y: 0)), ("mask:a b.png", .mask(file: "a b.png")),
        ("mask C:x.png", .mask(file: "C:x.png")),
    ]) func whereIsReadAndWritten(text: String, meaning: Where) {
        #expect(Where(text) == meaning)
        #expect(Where(meaning.text) == meaning)
    }

    @Test(arguments: [
        "", "middle", "peak:", "peak:0", "peak:-1", "peak:nan", "peak:1e9", "mean:2", "3", "3,", "-1,2", "1,2,3",
        "mask", "mask:",
    ]) func anythingElseIsNot(text: String) { #expect(Where(text) == nil) }
}
