import Checkpoints
import Files
import Tensors

/// The time-step analysis of one site as its unit keeps it.
///
/// `analysis.safetensors`: `frequency`, `count`, `max_activation`, `mean_activation` `[D, T]`, `example_activation [M]`;
/// `examples.safetensors`: `timesteps [T]`, `offset [D·T + 1]`, `generation [M]`, the examples of cell (d, t) being
/// those from offset[d·T + t], most active first, and `generations [1]`; `peaks.json`: per channel, highest first.
public struct SiteAnalysis: Sendable {
    public let timesteps: [Int]
    public let generations: Int
    /// `[D, T]`.
    public let counts: [Int]
    /// `[D, T]`.
    public let maxActivation: [Float]
    /// `[D, T]`.
    private let meanActivation: [Float]
    /// Per channel, highest first.
    public let peaks: [[Int]]
    private let offsets: [Int]
    private let exampleGenerations: [Int]
    private let exampleActivations: [Float]

    static func write(
        _ analysis: TimestepAnalysis, peakSeparation: Int, peakLimit: Int, to folder: String
    ) throws {
        let shape = [analysis.channels, analysis.timesteps.count]
        var (offsets, generations, activations) = ([0], [Int](), [Float]())
        var peaks: [JSON] = []
        for channel in 0..<analysis.channels {
            for step in analysis.timesteps.indices {
                let examples = analysis.examples(channel: channel, step: step)
                generations += examples.map(\.generation)
                activations += examples.map(\.activation)
                offsets.append(generations.count)
            }
            let row = analysis.counts[channel * shape[1]..<(channel + 1) * shape[1]]
            let profile = ActivityProfile(timesteps: analysis.timesteps, counts: row.map { Int($0) })
            peaks.append(.array(profile.peaks(separation: peakSeparation, limit: peakLimit).map(JSON.integer)))
        }
        try SafetensorsWriter.write(
            [
                ("frequency", Tensor(shape, analysis.frequency)),
                ("count", Tensor(shape, analysis.counts.map { Float($0) })),
                ("max_activation", Tensor(shape, analysis.maxActivation)),
                ("mean_activation", Tensor(shape, analysis.meanActivation)),
                ("example_activation", Tensor([activations.count], activations)),
            ], to: folder + "/analysis.safetensors")
        try SafetensorsWriter.write(
            ids: [
                ("timesteps", [shape[1]], analysis.timesteps), ("offset", [offsets.count], offsets),
                ("generation", [generations.count], generations), ("generations", [1], [analysis.generations]),
            ], to: folder + "/examples.safetensors")
        try JSON.array(peaks).write(to: folder + "/peaks.json", overwrite: false)
    }

    init(folder: String) throws {
        let numbers = try SafetensorsFile(path: folder + "/analysis.safetensors")
        let ids = try SafetensorsFile(path: folder + "/examples.safetensors")
        func integers(_ name: String) throws -> [Int] {
            let weight = try ids.weight(name)
            return (0..<weight.count).map { Int(weight.bytes.loadUnaligned(fromByteOffset: 8 * $0, as: Int64.self)) }
        }
        timesteps = try integers("timesteps")
        guard let total = try integers("generations").first else {
            throw FileFailure.malformed(file: folder + "/examples.safetensors", reason: "\"generations\" is empty")
        }
        generations = total
        counts = try numbers.weight("count").floats().map { Int($0) }
        maxActivation = try numbers.weight("max_activation").floats()
        meanActivation = try numbers.weight("mean_activation").floats()
        offsets = try integers("offset")
        exampleGenerations = try integers("generation")
        exampleActivations = try numbers.weight("example_activation").floats()
        peaks = (try JSON.read(folder + "/peaks.json").array ?? []).map { $0.array?.compactMap(\.int) ?? [] }
        guard counts.count == maxActivation.count, counts.count == meanActivation.count, offsets.count == counts.count + 1,
            peaks.count * timesteps.count == counts.count, offsets.last == exampleGenerations.count
        else { throw SimpleFailure(.badData, "\(folder): the files of this analysis do not fit together") }
    }

    public var channels: Int { peaks.count }

    public func profile(_ channel: Int) -> ActivityProfile {
        ActivityProfile(timesteps: timesteps, counts: Array(counts[row(channel)]))
    }

    public func frequency(_ channel: Int) -> [Float] {
        counts[row(channel)].map { Float($0) / Float(max(generations, 1)) }
    }

    public func maxActivation(_ channel: Int) -> [Float] { Array(maxActivation[row(channel)]) }

    public func isLive(_ channel: Int) -> Bool { counts[row(channel)].contains { $0 > 0 } }

    /// Index of the observed time step nearest to `timestep` (equal: the lower).
    public func nearestStep(_ timestep: Int) -> Int {
        timesteps.indices.min { abs(timesteps[$0] - timestep) < abs(timesteps[$1] - timestep) } ?? 0
    }

    /// The largest activation in the dataset at the observed time step nearest to `timestep`.
    public func maxActivation(_ channel: Int, near timestep: Int) -> Float {
        maxActivation[channel * timesteps.count + nearestStep(timestep)]
    }

    /// The mean activation of every channel in the dataset at the observed time step nearest to `timestep`.
    public func means(near timestep: Int) -> [Float] {
        let step = nearestStep(timestep)
        return (0..<channels).map { meanActivation[$0 * timesteps.count + step] }
    }

    /// Generations in which the channel was among the strongest at a time step, most active first.
    public func examples(_ channel: Int, step: Int) -> [TimestepAnalysis.Example] {
        let cell = channel * timesteps.count + step
        return (offsets[cell]..<offsets[cell + 1]).map {
            .init(generation: exampleGenerations[$0], activation: exampleActivations[$0])
        }
    }

    /// The time step that a channel's examples are taken from: its highest peak's nearest observed one, else the one
    /// with the most examples.
    public func exampleStep(_ channel: Int) -> Int {
        if let peak = peaks[channel].first { return nearestStep(peak) }
        return timesteps.indices.max { counts[channel * timesteps.count + $0] < counts[channel * timesteps.count + $1] } ?? 0
    }

    private func row(_ channel: Int) -> Range<Int> { channel * timesteps.count..<(channel + 1) * timesteps.count }
}
