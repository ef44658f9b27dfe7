extension Tensor {
    /// `[B, C, H, W]` (files, torch) → `[B, H, W, C]` (every operation here).
    public func channelsLast(in workspace: Workspace? = nil) -> Tensor {
        precondition(shape.count == 4, "channelsLast needs [B,C,H,W], got \(shape)")
        let (b, c, hw) = (shape[0], shape[1], shape[2] * shape[3])
        let result = Tensor([b, shape[2], shape[3], c], in: workspace)
        Self.transpose(pointer, result.pointer, batches: b, rows: c, columns: hw)
        return result
    }

    /// `[B, H, W, C]` → `[B, C, H, W]`.
    public func channelsFirst(in workspace: Workspace? = nil) -> Tensor {
        precondition(shape.count == 4, "channelsFirst needs [B,H,W,C], got \(shape)")
        let (b, hw, c) = (shape[0], shape[1] * shape[2], shape[3])
        let result = Tensor([b, c, shape[1], shape[2]], in: workspace)
        Self.transpose(pointer, result.pointer, batches: b, rows: hw, columns: c)
        return result
    }

    private static func transpose(
        _ source: UnsafeMutablePointer<Float>, _ target: UnsafeMutablePointer<Float>, batches: Int, rows: Int,
        columns: Int
    ) {
        for batch in 0..<batches {
            let from = source + batch * rows * columns
            let to = target + batch * rows * columns
            for row in 0..<rows {
                for column in 0..<columns { to[column * rows + row] = from[row * columns + column] }
            }
        }
    }
}
