import KernelInterface
import Tensors

/// Group normalization over `[B, ..., C]`: per sample and group of C/groups neighbouring channels,
/// `y = (x − mean)/√(variance + ε) · weight + bias`, with SiLU after it on request.
///
/// Forward reads x twice and writes y once. Saved: 2 floats per sample and group; backward takes x again, reads dy
/// and x twice and writes dx once. Statistics are sums over fixed blocks of rows, combined in double precision in a
/// fixed order, so that they do not depend on the number of threads.
public struct GroupNorm: Sendable {
    /// C.
    public let channels: Int
    /// Groups of C/groups neighbouring channels.
    public let groups: Int
    /// ε, added to the variance.
    public let epsilon: Float
    let weight: [Float]
    let bias: [Float]
    let engine: Engine

    /// What backward needs beside x: `[B, 2, groups]`, mean and 1/√(variance + ε).
    public struct Saved: Sendable {
        /// `[B, 2, groups]`: mean, and 1/√(variance + ε).
        public let statistics: Tensor
    }

    /// - Parameters:
    ///   - weight, bias: `[C]`.
    /// - Precondition: C is a multiple of `groups`.
    public init(weight: Weight, bias: Weight, groups: Int, epsilon: Float, engine: Engine) {
        precondition(
            groups > 0 && weight.count.isMultiple(of: groups) && bias.count == weight.count,
            "group norm \(weight.name): weight \(weight.shape), bias \(bias.shape), \(groups) groups")
        channels = weight.count
        self.groups = groups
        self.epsilon = epsilon
        self.weight = weight.floats()
        self.bias = bias.floats()
        self.engine = engine
    }

    /// The normalized `x [B, ..., C]`, and what backward needs.
    ///
    /// - Parameter silu: whether SiLU follows.
    public func forward(_ x: Tensor, silu: Bool = false) -> (y: Tensor, saved: Saved) {
        let blocks = RowBlocks(x, channels: channels)
        let saved = Saved(statistics: statistics(x, blocks))
        let coefficients = forwardCoefficients(saved, samples: blocks.samples)
        let y = Tensor(x.shape, in: engine.workspace)
        normalize(x, blocks, coefficients, silu: silu, into: y)
        return (y, saved)
    }

    /// The same for a map that has no other reader: the result takes its place, so that no second map is needed.
    ///
    /// - Precondition: nobody reads x afterwards.
    package func infer(_ x: Tensor, silu: Bool = false) -> Tensor {
        let blocks = RowBlocks(x, channels: channels)
        let coefficients = forwardCoefficients(Saved(statistics: statistics(x, blocks)), samples: blocks.samples)
        normalize(x, blocks, coefficients, silu: silu, into: x)
        return x
    }

    private func normalize(_ x: Tensor, _ blocks: RowBlocks, _ coefficients: Tensor, silu: Bool, into y: Tensor) {
        let kernel = silu ? engine.kernels.norm.groupNormalizeSilu : engine.kernels.norm.groupNormalize
        engine.threads.forEach(blocks.count, bytes: 8 * x.count) { task, _ in
            let (sample, rows, start) = blocks[task]
            kernel(
                x.pointer + start, rows, channels, coefficients.pointer + sample * 2 * channels, y.pointer + start)
        }
    }

    /// The gradient at x; `silu` as in forward; plus `adding` if given (the gradient of a residual branch).
    public func backwardInput(
        _ dy: Tensor, x: Tensor, saved: Saved, silu: Bool = false, adding: Tensor? = nil
    ) -> Tensor {
        precondition(
            dy.count == x.count && (adding?.count ?? x.count) == x.count,
            "group norm backward: dy \(dy.shape), x \(x.shape), adding \(adding?.shape ?? x.shape)")
        let blocks = RowBlocks(x, channels: channels)
        precondition(saved.statistics.shape == [blocks.samples, 2, groups], "group norm backward: another pass's statistics")
        let coefficients = backwardCoefficients(saved, samples: blocks.samples)
        gradientMeans(dy, x, blocks, into: coefficients, silu: silu)
        let dx = Tensor(x.shape, in: engine.workspace)
        let kernel = silu ? engine.kernels.norm.groupBackwardSilu : engine.kernels.norm.groupBackward
        engine.threads.forEach(blocks.count, bytes: 12 * x.count) { task, _ in
            let (sample, rows, start) = blocks[task]
            kernel(
                dy.pointer + start, x.pointer + start, rows, channels,
                coefficients.pointer + sample * 6 * channels, adding.map { UnsafePointer($0.pointer + start) },
                dx.pointer + start)
        }
        return dx
    }

    private func statistics(_ x: Tensor, _ blocks: RowBlocks) -> Tensor {
        let partial = Tensor([blocks.count, 2, groups], in: engine.workspace)
        let scratch = Tensor([engine.threads.count, 3 * channels], in: engine.workspace)
        let kernel = engine.kernels.norm.groupStatistics
        engine.threads.forEach(blocks.count, bytes: 4 * x.count) { task, worker in
            let (_, rows, start) = blocks[task]
            kernel(
                x.pointer + start, rows, channels, groups, scratch.pointer + worker * 3 * channels,
                partial.pointer + task * 2 * groups)
        }
        let result = Tensor([blocks.samples, 2, groups], in: engine.workspace)
        for sample in 0..<blocks.samples {
            for group in 0..<groups {
                let (mean, variance) = combine(partial, blocks, sample, group)
                result.pointer[sample * 2 * groups + group] = Float(mean)
                result.pointer[(sample * 2 + 1) * groups + group] =
                    Float(1 / (variance + Double(epsilon)).squareRoot())
            }
        }
        return result
    }

    /// Mean and variance from those of blocks: Chan, Golub & LeVeque 1983, "Algorithms for computing the sample
    /// variance".
    private func combine(_ partial: Tensor, _ blocks: RowBlocks, _ sample: Int, _ group: Int) -> (Double, Double) {
        var (count, mean, deviations) = (0.0, 0.0, 0.0)
        for block in 0..<blocks.perSample {
            let task = sample * blocks.perSample + block
            let blockCount = Double(blocks[task].rows * (channels / groups))
            let difference = Double(partial.pointer[task * 2 * groups + group]) - mean
            let total = count + blockCount
            mean += difference * blockCount / total
            deviations +=
                Double(partial.pointer[(task * 2 + 1) * groups + group])
                + difference * difference * count * blockCount / total
            count = total
        }
        return (mean, deviations / count)
    }

    /// `[samples, 2, channels]` for `NormKernels.groupNormalize`.
    private func forwardCoefficients(_ saved: Saved, samples: Int) -> Tensor {
        let result = Tensor([samples, 2, channels], in: engine.workspace)
        for sample in 0..<samples {
            let row = result.pointer + sample * 2 * channels
            for c in 0..<channels {
                let (mean, inverse) = saved[sample, c * groups / channels]
                row[c] = inverse * weight[c]
                row[channels + c] = bias[c] - mean * inverse * weight[c]
            }
        }
        return result
    }

    /// `[samples, 6, channels]` for `NormKernels.groupBackward`; the last two are filled by `gradientMeans`.
    private func backwardCoefficients(_ saved: Saved, samples: Int) -> Tensor {
        let result = Tensor([samples, 6, channels], in: engine.workspace)
        for sample in 0..<samples {
            let row = result.pointer + sample * 6 * channels
            for c in 0..<channels {
                let (mean, inverse) = saved[sample, c * groups / channels]
                row[c] = inverse
                row[channels + c] = -mean * inverse
                row[2 * channels + c] = weight[c]
                row[3 * channels + c] = bias[c]
            }
        }
        return result
    }

    private func gradientMeans(_ dy: Tensor, _ x: Tensor, _ blocks: RowBlocks, into coefficients: Tensor, silu: Bool) {
        let partial = Tensor([blocks.count, 2, groups], in: engine.workspace)
        let scratch = Tensor([engine.threads.count, 2 * channels], in: engine.workspace)
        let kernel = silu ? engine.kernels.norm.groupGradientSumsSilu : engine.kernels.norm.groupGradientSums
        engine.threads.forEach(blocks.count, bytes: 8 * x.count) { task, worker in
            let (sample, rows, start) = blocks[task]
            kernel(
                dy.pointer + start, x.pointer + start, rows, channels, groups,
                coefficients.pointer + sample * 6 * channels, scratch.pointer + worker * 2 * channels,
                partial.pointer + task * 2 * groups)
        }
        let width = channels / groups
        for sample in 0..<blocks.samples {
            for row in 0..<2 * groups {
                var sum = 0.0
                for block in 0..<blocks.perSample {
                    sum += Double(partial.pointer[(sample * blocks.perSample + block) * 2 * groups + row])
                }
                let target = coefficients.pointer + (sample * 6 + 4) * channels + row * width
                target.update(repeating: Float(sum / Double(blocks.rows * width)), count: width)
            }
        }
    }
}

extension GroupNorm.Saved {
    fileprivate subscript(sample: Int, group: Int) -> (mean: Float, inverse: Float) {
        let groups = statistics.channels
        let row = statistics.pointer + sample * 2 * groups
        return (row[group], row[groups + group])
    }
}

/// The rows of each sample of `[B, ..., C]` in blocks whose size depends on the shape alone.
struct RowBlocks: Sendable {
    let samples: Int
    let rows: Int
    let channels: Int
    let blockRows: Int

    init(_ x: Tensor, channels: Int) {
        precondition(x.channels == channels && x.shape.count > 1 && x.count > 0, "norm of \(channels) on \(x.shape)")
        samples = x.shape[0]
        rows = x.rows / samples
        self.channels = channels
        blockRows = max(4, min(128, 32_768 / channels))
    }

    var perSample: Int { (rows + blockRows - 1) / blockRows }
    var count: Int { samples * perSample }

    /// Sample, number of rows, and offset of the first element of a block.
    subscript(task: Int) -> (sample: Int, rows: Int, start: Int) {
        let (sample, block) = (task / perSample, task % perSample)
        let first = block * blockRows
        return (sample, min(blockRows, rows - first), (sample * rows + first) * channels)
    }
}
