import Checkpoints
import Files
import Foundation
import StableDiffusion
import Tensors
import Testing

/// Every sampler with every setting that it reads, step by step against diffusers (`tools/goldens/samplers.py`).
@Suite struct SamplerTests {
    private static let shape = [1, 4, 8, 8]

    /// ε(x, t) = 0.3x + 0.2 sin(2x + t/150).
    private static func model(_ x: Tensor, _ timestep: Float) -> Tensor {
        Tensor(x.shape, x.array.map { 0.3 * $0 + 0.2 * sin(2 * $0 + timestep / 150) })
    }

    private static func configuration(_ run: JSON) throws -> SchedulerConfiguration {
        var object = try #require(run["config"]?.object)
        let name: JSON = try #require(run["class"])
        object["_class_name"] = name
        return try SchedulerConfiguration(ConfigFile(file: "scheduler_config.json", json: .object(object)))
    }

    /// The part of each trajectory that is kept after the first calls: channels 0, 1 … of the first rows.
    private static func firstRows(_ x: Tensor) -> [Float] {
        (0..<4).flatMap { channel in (0..<16).map { x.array[channel * 64 + $0] } }
    }

    @Test(arguments: SamplerName.allCases) func trajectories(_ name: SamplerName) throws {
        let tensors = try SafetensorsFile(path: fixture("samplers/samplers.safetensors"))
        let runs = try #require(JSON.read(fixture("samplers/samplers.json"))["runs"]?.array)
        var compared = 0
        for run in runs where run["sampler"]?.string == name.rawValue {
            try Self.follow(run, name, tensors)
            compared += 1
        }
        #expect(compared >= 8)
    }

    private static func follow(_ run: JSON, _ name: SamplerName, _ tensors: SafetensorsFile) throws {
        let key = try #require(run["key"]?.string)
        let what = "\(name.rawValue) \(key)"
        let configuration = try configuration(run)
        #expect(configuration.samplerName == name || name == .dpmpp2MKarras || name == .dpmpp2MSDEKarras)
        var sampler = try configuration.sampler(name, steps: try #require(run["steps"]?.int))
        let timesteps = try #require(run["timesteps"]?.array).compactMap(\.double)
        try #require(sampler.timesteps.count == timesteps.count, "\(what)")
        for (ours, reference) in zip(sampler.timesteps, timesteps) {
            #expect(abs(Double(ours) - reference) < 2e-3, "\(what)")
        }
        let start = try #require(run["start"]?.double)
        #expect(abs(Double(sampler.initialNoiseSigma) - start) <= 1e-5 * start, "\(what)")
        var generator = TorchGenerator(seed: 5)
        var noise = RecordedNoise(try? tensors.weight("\(key)/noise").tensor())
        let scale = sampler.initialNoiseSigma
        var x = Tensor(shape, generator.randn(shape).array.map { $0 * scale })
        for call in sampler.timesteps.indices {
            let input = Tensor(x.shape, x.array.map { $0 * sampler.inputScale(at: call) })
            let before = sampler
            x = sampler.step(model(input, sampler.timesteps[call]), at: call, sample: x) {
                noise.next(sampler: before, call: call) ?? generator.randn(shape)
            }
            guard let point = try? tensors.weight("\(key)/after\(call + 1)") else { continue }
            #expect(relativeError(firstRows(x), point.floats()) < 1e-4, "\(what) after \(call + 1)")
        }
        #expect(relativeError(x.array, try tensors.weight("\(key)/end").floats()) < 1e-4, "\(what)")
    }

    @Test func heunAndSDETakeTwoCallsAStep() throws {
        let configuration = SchedulerConfiguration.stableDiffusion15()
        for name in [SamplerName.heun, .dpmppSDE] {
            let sampler = try configuration.sampler(name, steps: 10)
            #expect(sampler.timesteps.count == 19)
            #expect(sampler.call(ofStep: 3) == 6)
            #expect(sampler.timesteps[6] == 666)
        }
        #expect(try configuration.sampler(.lms, steps: 10).call(ofStep: 3) == 3)
    }
}

/// The draws that make DPM++ SDE's path the one that was recorded: the reference gives the path's pieces as a whole (up to
/// the middle, up to the end), the sampler asks for independent ones.
private struct RecordedNoise {
    private let pieces: Tensor?
    private var index = 0

    init(_ pieces: Tensor?) { self.pieces = pieces }

    mutating func next(sampler: any Sampler, call: Int) -> Tensor? {
        guard let pieces else { return nil }
        defer { index += 1 }
        let size = 256
        let piece = Tensor([1, 4, 8, 8], Array(pieces.array[index * size..<(index + 1) * size]))
        guard index % 2 == 1 else { return piece }
        let before = Array(pieces.array[(index - 1) * size..<index * size])
        // Levels from the scales of the inputs: 1/√(σ²+1) at the step's start, its middle, the next one's start.
        let sigmas = [call - 1, call, call + 1].map { call -> Float in
            let scale = sampler.inputScale(at: call)
            return (1 / (scale * scale) - 1).squareRoot()
        }
        let share = (sigmas[0] - sigmas[1]) / (sigmas[0] - sigmas[2])
        return Tensor(
            piece.shape,
            zip(piece.array, before).map { ($0 - share.squareRoot() * $1) / (1 - share).squareRoot() })
    }
}
