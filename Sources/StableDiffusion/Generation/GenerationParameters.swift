/// What determines a picture, given the model.
public struct GenerationParameters: Sendable, Equatable {
    /// What is wanted; text beyond the text encoder's length is cut off.
    public var prompt = ""
    /// What guidance leads away from; the prompt of the unconditional half.
    public var negativePrompt = ""
    /// Sampling steps; PNDM makes one U-Net call more.
    public var steps = 50
    /// g in ε = ε_u + g (ε_c − ε_u). At 1 and below the unconditional half is not computed.
    public var guidanceScale: Float = 7.5
    /// nil: the model's own.
    public var sampler: SamplerName?
    /// Of the start's noise and of stochastic samplers', as PyTorch's CPU generator draws it.
    public var seed: UInt64 = 0
    /// Pixels; nil: the size that the model was trained for.
    public var width: Int?
    /// See `width`.
    public var height: Int?
    /// Layers of the text encoder left out at the end, as diffusers counts (the web interfaces' number less one).
    public var clipSkip = 0
    /// How much of the way from noise is gone when starting from a picture: 1 forgets it.
    public var strength = 0.8

    /// Whether prompts are in the web interfaces' syntax, see `EmphasizedPrompt`.
    public var emphasis = false

    /// The defaults of diffusers' Stable Diffusion pipeline, with the empty prompt.
    public init() {}

    /// Whether each call computes both halves of guidance.
    public var isGuided: Bool { guidanceScale > 1 }
}
