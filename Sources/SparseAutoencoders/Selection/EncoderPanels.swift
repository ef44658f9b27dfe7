import Ops
import Tensors

/// The encoder's rows in the column panels that the matrix kernel multiplies with, the features that are dead in
/// panels of their own after the others: the auxiliary selection looks at these alone.
///
/// In bfloat16, panels of features that are not dead are rounded and end in their norms (`Screen`), if the rule
/// counts what it keeps. The auxiliary selection keeps about half of the dead ones, too many to be multiplied again, and
/// ReLU's and JumpReLU's may: these stay float32.
///
/// Made anew for every step, because the step before changed the weights: one read of `W_enc` and one write of it, of half
/// of it in bfloat16, about a hundredth of the product's time.
struct EncoderPanels: Sendable {
    let width: Int
    let depth: Int
    /// Features of each panel.
    let columns: [Int]
    let firstDead: Int
    /// Panels before this one are in bfloat16; 0 in float32.
    let firstInFloat32: Int
    private let panels: Tensor
    private let screenedRows: Int
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
        let screens = engine.precision == .bfloat16 && autoencoder.configuration.rule.countsK
        firstInFloat32 = screens ? firstDead : 0
        screenedRows = engine.operands.words(depth) + engine.operands.words(2)
        panels = Tensor([firstInFloat32 * screenedRows + (count - firstInFloat32) * depth, width], in: engine.workspace)
        (self.width, self.depth, self.columns) = (width, depth, columns)
        (self.ids, self.biases, self.gates) = (ids, biases, gates)
        engine.threads.forEach(count) { [self] panel, _ in
            let target = panels.pointer + offset(panel)
            if panel < firstInFloat32 {
                packScreened(panel, autoencoder, target, engine)
            } else {
                pack(panel, autoencoder, target, engine)
            }
        }
    }

    private func pack(
        _ panel: Int, _ autoencoder: SparseAutoencoder, _ target: UnsafeMutablePointer<Float>, _ engine: Engine
    ) {
        engine.kernels.sparse.packPanel(
            autoencoder.encoderWeight.pointer, depth, ids(panel), columns[panel], depth, target)
    }

    private func packScreened(
        _ panel: Int, _ autoencoder: SparseAutoencoder, _ target: UnsafeMutablePointer<Float>, _ engine: Engine
    ) {
        withUnsafeTemporaryAllocation(of: Float.self, capacity: (depth + 2) * width) { numbers in
            guard let numbers = numbers.baseAddress else { return }
            pack(panel, autoencoder, numbers, engine)
            let norms = numbers + depth * width
            norms.update(repeating: 0, count: 2 * width)
            for column in 0..<columns[panel] {
                let row = autoencoder.encoderWeight.pointer + Int(ids(panel)[column]) * depth
                (norms[column], norms[width + column]) = Screen.norms(row, depth, engine)
            }
            engine.operands.packPanel(numbers, depth, target)
            engine.operands.packPanel(norms, 2, target + engine.operands.words(depth) * width)
        }
    }

    private func offset(_ panel: Int) -> Int {
        (min(panel, firstInFloat32) * screenedRows + max(0, panel - firstInFloat32) * depth) * width
    }

    /// What a screened panel ends in: its features' norms.
    func norms(_ panel: Int, _ operands: Operands) -> UnsafePointer<Float> {
        self.panel(panel) + operands.words(depth) * width
    }
    func panel(_ index: Int) -> UnsafePointer<Float> { UnsafePointer(panels.pointer + offset(index)) }
    func ids(_ index: Int) -> UnsafePointer<UInt32> { UnsafePointer(ids.pointer + index * width) }
    func bias(_ index: Int) -> UnsafePointer<Float> { UnsafePointer(biases.pointer + index * width) }
    func gate(_ index: Int) -> UnsafePointer<Float>? { gates.map { UnsafePointer($0.pointer + index * width) } }
}
