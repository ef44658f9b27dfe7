import Tensors

/// Linear multistep on the probability flow in σ, up to fourth order (Karras et al. 2022 as k-diffusion has it).
struct LMSSampler: Sampler {
    static let order = 4

    let timesteps: [Float]
    let initialNoiseSigma: Float
    let sigmas: [Float]
    let prediction: PredictionType
    /// Newest first.
    private var slopes: [Tensor] = []

    init(table: SigmaTable, initialNoiseSigma: Float, prediction: PredictionType) {
        timesteps = table.timesteps.map { Float($0) }
        sigmas = table.sigmas
        self.initialNoiseSigma = initialNoiseSigma
        self.prediction = prediction
    }

    func inputScale(at call: Int) -> Float { 1 / (sigmas[call] * sigmas[call] + 1).squareRoot() }

    func addNoise(_ sample: Tensor, noise: Tensor, at call: Int) -> Tensor {
        weightedSum([(1, sample), (sigmas[call], noise)])
    }

    mutating func step(_ output: Tensor, at call: Int, sample: Tensor, noise: () -> Tensor) -> Tensor {
        let sigma = sigmas[call]
        let original = prediction.original(output, sample, sigma: sigma)
        slopes = [weightedSum([(1 / sigma, sample), (-1 / sigma, original)])] + slopes.prefix(Self.order - 1)
        // Image to image starts with fewer slopes than the order by its call: those that are missing count as zero.
        let order = min(call + 1, Self.order)
        let terms = zip(0..<order, slopes).map { (Float(coefficient(call, $0, order: order)), $1) }
        return weightedSum([(1, sample)] + terms)
    }

    /// The integral from σ to the next of the polynomial that is 1 at the slope's own σ and 0 at the others'. Two points
    /// of Gauss and Legendre are exact up to third degree.
    private func coefficient(_ call: Int, _ slope: Int, order: Int) -> Double {
        let (from, to) = (Double(sigmas[call]), Double(sigmas[call + 1]))
        let (centre, half) = ((from + to) / 2, (to - from) / 2)
        let values = [-1, 1].map { (sign: Double) -> Double in
            let tau = centre + sign * half / 3.0.squareRoot()
            return (0..<order).reduce(1.0) { product, other in
                guard other != slope else { return product }
                let node = Double(sigmas[call - other])
                return product * (tau - node) / (Double(sigmas[call - slope]) - node)
            }
        }
        return half * (values[0] + values[1])
    }
}
