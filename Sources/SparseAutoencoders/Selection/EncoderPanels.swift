import Ops
import Tensors

/// The encoder's rows in the column panels that the matrix kernel multiplies with, the features that are dead in
/// panels of their own after the others: the auxiliary selection looks at these alone.
///
/// Made anew for every step, because the step before changed the weights: one read and one write of `W_enc`, about
/// a hundredth of the product's time.
struct EncoderPanels: Sendable {
    let width: Int
    let depth: Int
    /// Features of each panel.
    let columns: [Int]
    let firstDead: Int
    private let panels: Tensor
    private let ids: Scratch<UInt32>
    private let biases: Scratch<Float>
    private let gates: Scratch<Float>?

    var count: Int { columns.count }

    /// - Parameter gate: the value that a feature's activation must exceed (`selectAbove`), if there is one.
    init(_ autoencoder: SparseAutoencoder, dead: [Bool], gate: ((Int) -> Float)?, engine: Engine) {
        let (width, depth) = (engine.kernels.gemm.panelWidth, autoencoder.inputWidth)
        let features = 0..<autoencoder.numLatents
        let live = dead.isEmpty ? Array(features) : features.filter { !dead[$0] }
        let dying = dead.isEmpty ? [] : features.filter { dead[$0] }
        firstDead = (live.count + width - 1) / width
        let count = firstDead + (dying.count + width - 1) / width
        let ids = Scratch<UInt32>(count * width, repeating: 0, engine)
        let biases = Scratch<Float>(count * width, repeating: -.infinity, engine)
        let gates = gate.map { _ in Scratch<Float>(count * width, repeating: .infinity, engine) }
        var columns: [Int] = []
        for (list, first) in [(live, 0), (dying, firstDead)] {
            for (position, feature) in list.enumerated() {
                let slot = first * width + position
                ids.pointer[slot] = UInt32(feature)
                biases.pointer[slot] = autoencoder.encoderBias.pointer[feature]
                if let gate { gates?.pointer[slot] = gate(feature) }
            }
            for start in stride(from: 0, to: list.count, by: width) { columns.append(min(width, list.count - start)) }
        }
        let panels = Tensor([count, depth, width], in: engine.workspace)
        let valid = columns
        engine.threads.forEach(count) { panel, _ in
            engine.kernels.sparse.packPanel(
                autoencoder.encoderWeight.pointer, depth, ids.pointer + panel * width, valid[panel], depth,
                panels.pointer + panel * depth * width)
        }
        (self.width, self.depth, self.columns) = (width, depth, columns)
        (self.panels, self.ids, self.biases, self.gates) = (panels, ids, biases, gates)
    }

    func panel(_ index: Int) -> UnsafePointer<Float> { UnsafePointer(panels.pointer + index * depth * width) }
    func ids(_ index: Int) -> UnsafePointer<UInt32> { UnsafePointer(ids.pointer + index * width) }
    func bias(_ index: Int) -> UnsafePointer<Float> { UnsafePointer(biases.pointer + index * width) }
    func gate(_ index: Int) -> UnsafePointer<Float>? { gates.map { UnsafePointer($0.pointer + index * width) } }
}
