import Ops
import Tensors

/// The encoder's product and the selection of its largest entries in one pass: the only dense product of a training
/// step, 2·n·L·D operations, bound by arithmetic. A block of eight row tiles of tokens stays in the second cache
/// while the encoder's panels stream past; each tile of results is looked through while it is in the first cache and
/// is then overwritten by the next. The `[tokens × latents]` matrix exists nowhere.
struct FusedSelection {
    /// Keep the `keep` largest activations of every `tokensPerGroup` consecutive tokens.
    struct Request: Sendable {
        let tokensPerGroup: Int
        let keep: Int
        /// Only dead features, and only activations greater than 0: the auxiliary reconstruction sees no others.
        var deadOnly = false
        /// Only activations greater than 0.
        var positiveOnly = false

        /// A key that every acceptable one exceeds.
        var floor: UInt64 { deadOnly || positiveOnly ? UInt64(UInt32.max) : 0 }
    }

    let panels: EncoderPanels
    let numLatents: Int
    let engine: Engine
    var passes: PassTimes?

    private var blockRows: Int { 8 * engine.kernels.gemm.tileRows }

    /// Runs over `centered [n, D]` and returns, per request, the selected activations, and how many of all n·L were
    /// positive.
    func run(_ centered: Tensor, _ requests: [Request]) -> (codes: [SparseCodes], positives: Int) {
        let tokens = centered.rows
        precondition(tokens * numLatents < 1 << 32, "\(tokens) tokens × \(numLatents) latents exceed 32-bit indices")
        let results = requests.map {
            SelectionResult($0, tokens: tokens, features: $0.deadOnly ? deadFeatures : numLatents, engine: engine)
        }
        let blocks = (tokens + blockRows - 1) / blockRows
        let workers = (0..<min(engine.threads.count, blocks)).map { _ in
            BlockWorker(panels: panels, rows: blockRows, results: results, engine: engine)
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

/// Where a request's keys end up: a region of `keep` keys per group, filled by the task that owns the group, or
/// through a pool when the group reaches over several tasks.
final class SelectionResult: Sendable {
    let request: FusedSelection.Request
    let keep: Int
    let tokens: Int
    let features: Int
    private let engine: Engine
    private let pools: [KeyPool]
    private let keys: Scratch<UInt64>
    private let counts: Scratch<Int>

    init(_ request: FusedSelection.Request, tokens: Int, features: Int, engine: Engine) {
        self.request = request
        self.tokens = tokens
        self.features = features
        self.engine = engine
        let size = min(request.tokensPerGroup, tokens)
        let keep = min(request.keep, size * features)
        let groups = (tokens + size - 1) / size
        keys = Scratch(groups * keep, engine)
        counts = Scratch(groups, repeating: 0, engine)
        pools = size == 1 ? [] : (0..<groups).map { _ in KeyPool(keep: keep, floor: request.floor, engine: engine) }
        self.keep = keep
    }

    func pool(_ group: Int) -> KeyPool? { pools.isEmpty ? nil : pools[group] }

    /// Hands over a group's (or a part of a group's) `count ≤ keep` keys.
    func deliver(_ group: Int, _ found: UnsafePointer<UInt64>, _ count: Int) {
        if let pool = pool(group) {
            pool.merge(found, count)
        } else {
            (keys.pointer + group * keep).update(from: found, count: count)
            counts.pointer[group] = count
        }
    }

    /// All keys, one run.
    func finish() -> SelectedKeys {
        for (group, pool) in pools.enumerated() {
            counts.pointer[group] = pool.drain(into: keys.pointer + group * keep)
        }
        var filled = 0
        for group in 0..<counts.count {
            let count = counts.pointer[group]
            if filled != group * keep {
                (keys.pointer + filled).update(from: keys.pointer + group * keep, count: count)
            }
            filled += count
        }
        return SelectedKeys(keys: keys, count: filled)
    }
}

/// The first `count` of a run of keys.
struct SelectedKeys: Sendable {
    let keys: Scratch<UInt64>
    let count: Int
}
