import Tensors

/// Nearest-neighbour upsampling of `[B, h, w, C]`, as `torch.nn.functional.interpolate(mode="nearest")`.
public enum Resample {
    /// Output row i shows input row `floor(i · in/out)`, the ratio rounded to float32 and i·ratio too, as torch does.
    static func sources(_ input: Int, _ output: Int) -> [Int] {
        if output == input { return Array(0..<input) }
        if output == 2 * input { return (0..<output).map { $0 / 2 } }
        let ratio = Float(input) / Float(output)
        return (0..<output).map { min(Int((Float($0) * ratio).rounded(.down)), input - 1) }
    }

    /// `x [B, h, w, C]` → `[B, to.height, to.width, C]`.
    public static func upsampleNearest(_ x: Tensor, to size: (height: Int, width: Int), engine: Engine) -> Tensor {
        precondition(x.shape.count == 4, "upsampling needs [B,H,W,C], got \(x.shape)")
        let (b, h, w, c) = (x.shape[0], x.shape[1], x.shape[2], x.shape[3])
        let result = Tensor([b, size.height, size.width, c], in: engine.workspace)
        let (fromRows, fromColumns) = (sources(h, size.height), sources(w, size.width))
        engine.threads.forEach(b * size.height) { task, _ in
            let (sample, row) = (task / size.height, task % size.height)
            let source = x.pointer + (sample * h + fromRows[row]) * w * c
            let target = result.pointer + task * size.width * c
            for (column, from) in fromColumns.enumerated() {
                (target + column * c).update(from: source + from * c, count: c)
            }
        }
        return result
    }

    /// The sum over all places that showed an input pixel, in row-major order: `dy [B, H, W, C]` → `inputShape`.
    public static func upsampleNearestBackward(_ dy: Tensor, inputShape: [Int], engine: Engine) -> Tensor {
        precondition(
            inputShape.count == 4 && dy.shape.count == 4 && dy.shape[0] == inputShape[0]
                && dy.channels == inputShape[3], "upsampling's gradient \(dy.shape) for an input \(inputShape)")
        let (b, h, w, c) = (inputShape[0], inputShape[1], inputShape[2], inputShape[3])
        let (height, width) = (dy.shape[1], dy.shape[2])
        let result = Tensor(inputShape, in: engine.workspace)
        let (fromRows, fromColumns) = (sources(h, height), sources(w, width))
        let add = engine.kernels.elementwise.add
        engine.threads.forEach(b * h) { task, _ in
            let (sample, row) = (task / h, task % h)
            let target = result.pointer + task * w * c
            target.update(repeating: 0, count: w * c)
            for (y, from) in fromRows.enumerated() where from == row {
                let source = dy.pointer + (sample * height + y) * width * c
                for (x, column) in fromColumns.enumerated() {
                    add(target + column * c, source + x * c, target + column * c, c)
                }
            }
        }
        return result
    }
}
