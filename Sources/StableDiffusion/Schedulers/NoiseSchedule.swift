import Files
#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif
import Tensors

/// How much of a clean latent is left at each training time step: ᾱ_t = Π (1 − β_s), s ≤ t.
public struct NoiseSchedule: Sendable, Equatable {
    /// β_t by time step, from 0: the share of variance that is replaced with noise.
    public let betas: [Float]
    /// ᾱ by time step, from 0.
    public private(set) var alphasCumprod: [Float]

    /// How many time steps the model was trained with, 1000 for Stable Diffusion 1.5.
    public var trainTimesteps: Int { betas.count }

    /// The product runs in double precision and is rounded at each step, as PyTorch's `cumprod` does on a CPU.
    public init(betas: [Float]) {
        precondition(!betas.isEmpty, "a noise schedule needs at least one beta")
        self.betas = betas
        var product = 1.0
        alphasCumprod = betas.map { beta in
            product *= Double(1 - beta)
            return Float(product)
        }
    }

    /// β from `start` to `end` in even steps.
    public static func linear(_ start: Double, _ end: Double, count: Int) -> NoiseSchedule {
        NoiseSchedule(betas: linspace(Float(start), Float(end), count: count))
    }

    /// √β in even steps: latent diffusion's own schedule, SD 1.5's with 0.00085, 0.012 and 1000.
    public static func scaledLinear(_ start: Double, _ end: Double, count: Int) -> NoiseSchedule {
        let roots = linspace(Float(start.squareRoot()), Float(end.squareRoot()), count: count)
        return NoiseSchedule(betas: roots.map { $0 * $0 })
    }

    /// Glide's cosine schedule ("squaredcos_cap_v2"): ᾱ = cos²(π/2 · (t + 0.008)/1.008), β at most 0.999.
    public static func cosine(count: Int) -> NoiseSchedule {
        func remaining(_ t: Double) -> Double {
            let root = cos((t + 0.008) / 1.008 * .pi / 2)
            return root * root
        }
        return NoiseSchedule(
            betas: (0..<count).map { i in
                Float(min(1 - remaining(Double(i + 1) / Double(count)) / remaining(Double(i) / Double(count)), 0.999))
            })
    }

    /// The same shifted and scaled so that nothing is left of the picture at the last time step (Lin et al. 2023,
    /// algorithm 1).
    public var rescaledToZeroTerminalSNR: NoiseSchedule {
        var roots = alphasCumprod.map { $0.squareRoot() }
        let (first, last) = (roots[0], roots[roots.count - 1])
        roots = roots.map { ($0 - last) * (first / (first - last)) }
        let alphas = roots.map { $0 * $0 }
        return NoiseSchedule(betas: alphas.indices.map { 1 - ($0 == 0 ? alphas[0] : alphas[$0] / alphas[$0 - 1]) })
    }

    /// The same with a trace left at the last time step, so that its σ is finite.
    var withFiniteSigmas: NoiseSchedule {
        var copy = self
        copy.alphasCumprod[alphasCumprod.count - 1] = 0x1p-24
        return copy
    }

    /// Stable Diffusion 1.x's: √β linear from √0.00085 to √0.012 in 1000 steps.
    public static let stableDiffusion15 = scaledLinear(0.00085, 0.012, count: 1000)

    /// Signal and noise shares √ᾱ_t, √(1 − ᾱ_t).
    /// - Precondition: 0 ≤ `timestep` < `trainTimesteps`.
    public func shares(at timestep: Int) -> (signal: Float, noise: Float) {
        precondition(betas.indices.contains(timestep), "time step \(timestep) of a schedule of \(trainTimesteps)")
        let alpha = alphasCumprod[timestep]
        return (alpha.squareRoot(), (1 - alpha).squareRoot())
    }

    /// - Throws: `SimpleFailure(.usage)` unless the schedule has that time step; fractions are allowed.
    public func check(timestep: Double) throws {
        guard timestep >= 0, timestep <= Double(trainTimesteps - 1) else {
            let text = Int(exactly: timestep).map(String.init) ?? "\(timestep)"
            throw SimpleFailure(.usage, "time step \(text): this model's schedule has 0…\(trainTimesteps - 1)")
        }
    }

    /// σ_t = √((1 − ᾱ_t) / ᾱ_t), by time step from 0.
    public var sigmas: [Float] { alphasCumprod.map { ((1 - $0) / $0).squareRoot() } }

    /// √ᾱ_t · sample + √(1 − ᾱ_t) · noise: what step `timestep` of training sees.
    public func addNoise(_ sample: Tensor, noise: Tensor, timestep: Int) -> Tensor {
        let (signal, share) = shares(at: timestep)
        return weightedSum([(signal, sample), (share, noise)])
    }

    /// `torch.linspace` in float32: the second half is computed from the end, each value with one rounding.
    private static func linspace(_ start: Float, _ end: Float, count: Int) -> [Float] {
        let step = count > 1 ? (end - start) / Float(count - 1) : 0
        return (0..<count).map { i in
            i < count / 2 || count == 1
                ? start.addingProduct(step, Float(i)) : end.addingProduct(-step, Float(count - 1 - i))
        }
    }
}

/// Σ factor · tensor, over latents of one shape. Every sampler's step is such a sum.
func weightedSum(_ terms: [(factor: Float, tensor: Tensor)]) -> Tensor {
    let result = Tensor.zeros(terms[0].tensor.shape)
    for (factor, tensor) in terms {
        precondition(tensor.shape == result.shape, "weighted sum of \(result.shape) and \(tensor.shape)")
        for i in 0..<result.count { result.pointer[i] += factor * tensor.pointer[i] }
    }
    return result
}
