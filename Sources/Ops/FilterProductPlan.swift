import KernelInterface

extension FilterProduct {
    /// How rows and panels are shared out, and where rows are packed.
    struct Plan {
        /// Row tiles of a block, the last of which may have fewer.
        let tilesPerBlock: Int
        let rowsPerBlock: Int
        let rowBlocks: Int
        let panelsPerGroup: Int
        let groups: Int
        /// Rows are packed by a pass of their own, because several groups of panels need them.
        let isShared: Bool
        /// Rows stay packed in their whole depth: in shared memory or, up to `maxHeldDepth`, in a task's scratch.
        let holdsAllDepth: Bool
        /// Panels of the result in a stripe.
        let stripe: Int
    }

    /// A block of row tiles and a group of panels: one task.
    private struct Task {
        let tiles: Int
        let panels: Int

        /// Tasks that it takes.
        func count(_ allTiles: Int, _ allPanels: Int) -> Int {
            (allTiles + tiles - 1) / tiles * ((allPanels + panels - 1) / panels)
        }
    }

    func plan() -> Plan {
        let tileRows = filter.operands.tileRows
        let tiles = (rows + tileRows - 1) / tileRows
        let panels = output.panels(columns, engine.kernels.gemm.panelWidth)
        let task = task(tiles, panels, tileRows)
        let rowBlocks = (tiles + task.tiles - 1) / task.tiles
        let groups = (panels + task.panels - 1) / task.panels
        let allDepth = depth * taps.count
        let isShared = groups > 1 && rowBlocks * task.tiles * tileRows * allDepth <= Self.maxShared
        let holdsAllDepth = isShared || allDepth <= Self.maxHeldDepth
        return Plan(
            tilesPerBlock: task.tiles, rowsPerBlock: task.tiles * tileRows, rowBlocks: rowBlocks,
            panelsPerGroup: task.panels, groups: groups, isShared: isShared, holdsAllDepth: holdsAllDepth,
            stripe: (holdsAllDepth ? 8 : 16) / output.operands)
    }

    /// Blocks of up to `blockRows` rows, and panels so that there are several tasks a thread; where threads would still wait
    /// for the last of them, the smaller blocks that end soonest.
    private func task(_ tiles: Int, _ panels: Int, _ tileRows: Int) -> Task {
        let threads = engine.threads.count
        var pieces = (rows + Self.blockRows - 1) / Self.blockRows
        // Several tasks a thread and as many for each, so that threads finish together.
        if pieces > threads { pieces = (pieces + threads - 1) / threads * threads }
        let blockTiles = pieceSize(tiles, pieces: pieces)
        let whole = task(blockTiles, tiles, panels, pieces: 6 * threads)
        let count = whole.count(tiles, panels)
        if 20 * count >= 17 * ((count + threads - 1) / threads * threads) { return whole }
        // Bringing a panel's weights into scratch takes as long as some rows of its product.
        func cost(_ task: Task) -> Int {
            (task.count(tiles, panels) + threads - 1) / threads * task.panels * (task.tiles * tileRows + 24)
        }
        var best = whole
        for size in (1...blockTiles).reversed() {
            for rounds in 1...6 {
                let other = self.task(size, tiles, panels, pieces: rounds * threads)
                if cost(other) < cost(best) { best = other }
            }
        }
        return best
    }

    /// Blocks of that many tiles, and panels for about `pieces` tasks in all.
    private func task(_ size: Int, _ tiles: Int, _ panels: Int, pieces: Int) -> Task {
        let rowBlocks = (tiles + size - 1) / size
        return Task(tiles: size, panels: pieceSize(panels, pieces: (pieces + rowBlocks - 1) / rowBlocks))
    }

    /// Size of each of about `pieces` equal pieces of `count` things (at least one thing each).
    private func pieceSize(_ count: Int, pieces: Int) -> Int {
        max(1, (count + pieces - 1) / max(pieces, 1))
    }
}
