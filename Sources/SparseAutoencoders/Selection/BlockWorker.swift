import Ops
import Tensors

/// One thread's share of `FusedSelection`: memory for a block of tokens, a tile of results, and the keys found so far.
final class BlockWorker: @unchecked Sendable {
    /// The keys of one request, by the groups that the block touches.
    private struct Found {
        let result: SelectionResult
        let capacity: Int
        let keys: Scratch<UInt64>
        /// Groups of the block at hand: number, rows within the block, keys so far, and what a further one must exceed.
        var groups: [(group: Int, rows: Range<Int>, count: Int, bound: UInt64)] = []
    }

    private let panels: EncoderPanels
    private let engine: Engine
    /// The tokens for panels in float32, and those for panels in bfloat16, if there are any.
    private let exact: TokenBlock?
    private let rounded: (block: TokenBlock, screen: Screen)?
    private let tile: Tensor
    private var found: [Found]

    /// - Parameter rows: tokens of a block, a multiple of the register tile's.
    init(
        _ autoencoder: SparseAutoencoder, panels: EncoderPanels, rows: Int, results: [SelectionResult], engine: Engine
    ) {
        self.panels = panels
        self.engine = engine
        func block(_ precision: Precision) -> TokenBlock {
            TokenBlock(depth: panels.depth, rows: rows, precision: precision, engine: engine)
        }
        exact = panels.firstInFloat32 < panels.count ? block(.float32) : nil
        rounded = panels.firstInFloat32 > 0
            ? (block(.bfloat16), Screen(autoencoder, rows: rows, engine: engine)) : nil
        tile = Tensor([rows, panels.width], in: engine.workspace)
        found = results.map { result in
            let size = min(result.request.tokensPerGroup, result.tokens)
            let rowsOfGroup = min(size, rows)
            // Twice what is kept, so that a reduction to the largest is paid for by as many new keys; and one call
            // more.
            let capacity = min(2 * result.keep, rowsOfGroup * result.features) + rowsOfGroup * panels.width
            let groups = size == 1 ? rows : (rows - 1) / size + 2
            return Found(result: result, capacity: capacity, keys: Scratch(groups * capacity, engine))
        }
    }

    /// Looks through the tokens `rows` of `centered`; returns how many activations are positive.
    func run(_ centered: Tensor, _ rows: Range<Int>, _ numLatents: Int) -> Int {
        let sparse = engine.kernels.sparse
        exact?.pack(centered, rows)
        rounded?.block.pack(centered, rows)
        rounded?.screen.pack(centered, rows)
        for index in found.indices { begin(&found[index], rows) }
        rounded?.block.operands.beginProducts()
        defer { rounded?.block.operands.endProducts() }
        var positives = 0
        for panel in 0..<panels.count {
            let screen = panel < panels.firstInFloat32 ? rounded?.screen : nil
            (screen == nil ? exact : rounded?.block)?.multiply(rows.count, panels.panel(panel), into: tile.pointer)
            positives += sparse.countPositive(tile.pointer, rows.count, panels.bias(panel))
            if let screen, let operands = rounded?.block.operands {
                screen.raise(tile.pointer, rows.count, panels.norms(panel, operands))
            }
            for index in found.indices where panel >= panels.firstDead || !found[index].result.request.deadOnly {
                select(&found[index], panel, screen, centered, firstToken: rows.lowerBound, numLatents)
            }
        }
        for index in found.indices { end(&found[index]) }
        return positives
    }

    private func begin(_ found: inout Found, _ rows: Range<Int>) {
        found.groups.removeAll(keepingCapacity: true)
        let size = found.result.request.tokensPerGroup
        var row = rows.lowerBound
        while row < rows.upperBound {
            let group = row / size
            let end = min(rows.upperBound, (group + 1) * size)
            found.groups.append((group, row - rows.lowerBound..<end - rows.lowerBound, 0, found.result.request.floor))
            row = end
        }
    }

    private func select(
        _ found: inout Found, _ panel: Int, _ screen: Screen?, _ centered: Tensor, firstToken: Int, _ numLatents: Int
    ) {
        let (sparse, columns, result) = (engine.kernels.sparse, panels.columns[panel], found.result)
        for index in found.groups.indices {
            let (group, rows, count, _) = found.groups[index]
            let keys = found.keys.pointer + index * found.capacity
            if count + rows.count * columns > found.capacity { reduce(&found, index) }
            if let pool = result.pool(group) {
                found.groups[index].bound = max(found.groups[index].bound, pool.bound)
            }
            let first = UInt32((firstToken + rows.lowerBound) * numLatents)
            let source = tile.pointer + rows.lowerBound * panels.width
            let target = keys + found.groups[index].count
            if let gate = panels.gate(panel), !result.request.deadOnly {
                found.groups[index].count += sparse.selectAbove(
                    source, rows.count, panels.bias(panel), gate, panels.ids(panel), columns, first,
                    UInt32(numLatents), target)
            } else {
                let bound = found.groups[index].bound
                let new = sparse.select(
                    source, rows.count, panels.bias(panel), panels.ids(panel), columns, first, UInt32(numLatents), bound,
                    target)
                found.groups[index].count += screen?.settle(target, new, above: bound, centered) ?? new
            }
        }
    }

    /// Keeps the largest keys of one group.
    private func reduce(_ found: inout Found, _ index: Int) {
        let keep = found.result.keep
        guard found.groups[index].count > keep else { return }
        found.groups[index].bound = keepLargest(
            found.keys.pointer + index * found.capacity, found.groups[index].count, keep)
        found.groups[index].count = keep
    }

    private func end(_ found: inout Found) {
        for index in found.groups.indices {
            reduce(&found, index)
            found.result.deliver(
                found.groups[index].group, found.keys.pointer + index * found.capacity, found.groups[index].count)
        }
    }
}
