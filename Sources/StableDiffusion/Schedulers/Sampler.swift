import Tensors

/// What the U-Net's output means.
public enum PredictionType: String, Sendable, CaseIterable {
    /// The noise ε in x = √ᾱ x₀ + √(1−ᾱ) ε.
    case epsilon
    /// v = √ᾱ ε − √(1−ᾱ) x₀.
    case vPrediction = "v_prediction"
}

/// The samplers, by the names users know them under.
public enum SamplerName: String, Sendable, CaseIterable {
    case pndm
    case ddim
    case euler
    case eulerAncestral = "euler_a"
    case dpmpp2M = "dpmpp_2m"
    case dpmpp2MKarras = "dpmpp_2m_karras"
    case dpmpp2MSDE = "dpmpp_2m_sde"
    case dpmpp2MSDEKarras = "dpmpp_2m_sde_karras"
    case dpmppSDE = "dpmpp_sde"
    case uniPC = "unipc"
    case heun
    case lms
    case lcm
    case ddpm
}

/// Which training time steps N sampling steps visit (Lin et al. 2023, table 2).
public enum TimestepSpacing: String, Sendable, CaseIterable {
    case linspace, leading, trailing
}

/// One way from noise to a latent in a fixed number of U-Net calls.
///
/// Agrees with the scheduler of the same name in diffusers, whose quirks are kept: a seed should mean the same
/// picture. A sampler is a value with the history of one generation; make a new one for each. Latents may have any
/// layout.
public protocol Sampler: Sendable {
    /// The time step that the U-Net gets at each call.
    var timesteps: [Float] { get }

    /// What standard normal noise is multiplied by to start from.
    var initialNoiseSigma: Float { get }

    /// The call that begins a step; samplers with two calls a step have more calls than steps.
    func call(ofStep step: Int) -> Int

    /// What the sample is multiplied by before the U-Net sees it.
    func inputScale(at call: Int) -> Float

    /// A clean latent with as much noise as the sample has before `call`: where image to image starts.
    func addNoise(_ sample: Tensor, noise: Tensor, at call: Int) -> Tensor

    /// The sample after `call`.
    ///
    /// - Parameters:
    ///   - output: what the U-Net predicted (after guidance) from `sample · inputScale(at: call)`.
    ///   - noise: draws standard normal noise of the sample's shape; stochastic samplers call it once a call.
    mutating func step(_ output: Tensor, at call: Int, sample: Tensor, noise: () -> Tensor) -> Tensor
}

extension Sampler {
    /// Most samplers start from unit noise.
    public var initialNoiseSigma: Float { 1 }
    /// Most samplers give the sample to the U-Net as it is.
    public func inputScale(at call: Int) -> Float { 1 }
    /// Most samplers call the U-Net once a step.
    public func call(ofStep step: Int) -> Int { step }
}
