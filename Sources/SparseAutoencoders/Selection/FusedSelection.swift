import Ops
import Tensors

/// The encoder's product and the selection of its largest entries in one pass: the only dense product of a training
/// step, 2·n·L·D operations, bound by arithmetic. A block of up to eight row tiles of tokens stays in the second cache
/// while the encoder's panels stream past; each tile of results is looked through while it is in the first cache and
/// is then overwritten by the next. The `[tokens × latents]` matrix exists nowhere.
struct FusedSelection {
    let autoencoder: SparseAutoencoder
    let panels: EncoderPanels
    let engine: Engine
    var passes: PassTimes?

    private var numLatents: Int { autoencoder.numLatents }

    /// Eight row tiles, or fewer where threads would otherwise wait for the last blocks. Bringing the encoder's panels for a
    /// block is counted as two tiles' work.
    private func blockRows(_ tokens: Int) -> Int {
        let (tileRows, threads) = (engine.kernels.gemm.tileRows, engine.threads.count)
        func time(_ tiles: Int) -> Int {
            let blocks = (tokens + tiles * tileRows - 1) / (tiles * tileRows)
            return (blocks + threads - 1) / threads * (tiles + 2)
        }
        return tileRows * (1...7).reversed().reduce(8) { time($1) < time($0) ? $1 : $0 }
    }

    /// Runs over `centered [n, D]` and returns, per request, the selected activations, and how many of all n·L were
    /// positive.
    func run(_ centered: Tensor, _ requests: [SelectionRequest]) -> (codes: [SparseCodes], positives: Int) {
        let tokens = centered.rows
        precondition(tokens * numLatents < 1 << 32, "\(tokens) tokens × \(numLatents) latents exceed 32-bit indices")
        let results = requests.map {
            SelectionResult($0, tokens: tokens, features: $0.deadOnly ? deadFeatures : numLatents, engine: engine)
        }
        let blockRows = blockRows(tokens)
        let blocks = (tokens + blockRows - 1) / blockRows
        let workers = (0..<min(engine.threads.count, blocks)).map { _ in
            BlockWorker(autoencoder, panels: panels, rows: blockRows, results: results, engine: engine)
        }
        let positives = Scratch<Int>(blocks, engine)
        passes.measure("encoder product and selection", flops: 2 * Double(centered.count) * Double(numLatents)) {
            engine.threads.forEach(blocks) { block, worker in
                let rows = block * blockRows..<min(tokens, (block + 1) * blockRows)
                positives.pointer[block] = workers[worker].run(centered, rows, numLatents)
            }
        }
        let codes = passes.measure("sort by token and feature") {
            results.map { SparseCodes(keys: $0.finish(), tokens: tokens, numLatents: numLatents, engine: engine) }
        }
        return (codes, (0..<blocks).reduce(0) { $0 + positives.pointer[$1] })
    }

    private var deadFeatures: Int { panels.columns[panels.firstDead...].reduce(0, +) }
}
