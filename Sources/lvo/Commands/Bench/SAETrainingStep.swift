import Ops
import SparseAutoencoders
import Tensors

/// Training steps of a sparse autoencoder on random activations.
struct SAETrainingStep {
    /// A layer of SD 1.5, sixteen times as many features as channels.
    static let sdSize = SAEConfiguration(inputWidth: 1280, numLatents: 20480, k: 32)
    static let sdBatch = 4096

    private let engine: Engine
    private let x: Tensor
    private let autoencoder: SparseAutoencoder
    private let gradients: SAEGradients
    private let optimizer: SAEAdam
    /// Which features are taken as dead.
    private let dead: [Bool]

    /// - Parameter dead: how many features are, evenly spread; 0 leaves AuxK out.
    init(_ configuration: SAEConfiguration, batch: Int, dead count: Int = 0, engine: Engine) {
        self.engine = engine
        x = CounterRandom(seed: 1, purpose: .noise).normals([batch, configuration.inputWidth])
        autoencoder = SparseAutoencoder(configuration: configuration, firstBatch: x, seed: 0, engine: engine)
        gradients = SAEGradients(for: autoencoder)
        optimizer = SAEAdam(for: autoencoder, engine: engine)
        let latents = configuration.numLatents
        dead = count == 0 ? [] : (0..<latents).map { $0 * count / latents != ($0 + 1) * count / latents }
    }

    /// - Parameter step: counted from 1.
    func run(step: Int, passes: PassTimes) {
        let weights = Double(autoencoder.encoderWeight.count)
        passes.measure("normalise decoder", bytes: 8 * weights) { autoencoder.normalizeDecoder(engine: engine) }
        _ = SparseLoss(autoencoder, engine: engine, passes: passes)
            .evaluate(x, positions: min(256, x.rows), dead: dead, gradients: gradients)
        let norm = passes.measure("gradient norm", bytes: 8 * weights) { gradients.norm(engine: engine) }
        passes.measure("Adam", bytes: 2 * 28 * weights) {
            optimizer.update(autoencoder, gradients, norm: norm, step: step, learningRate: 1e-4)
        }
    }
}
