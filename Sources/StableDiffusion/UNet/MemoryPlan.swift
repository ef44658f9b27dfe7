import Files
import Ops

/// Which blocks keep their activations between forward and backward, and which are computed again (gradient
/// checkpointing; Chen et al. 2016), chosen from a memory budget.
///
/// Everything is kept if that fits. Otherwise blocks are set to `recompute` one after another, until it fits,
/// those first that free most bytes per operation to be repeated. The last block is always kept: its backward
/// comes next.
public struct MemoryPlan: Sendable, Equatable, CustomStringConvertible {
    /// The plan for one block.
    public struct Entry: Sendable, Equatable {
        /// The block's name.
        public let name: String
        /// Whether its activations are kept or recomputed.
        public let policy: GradientCheckpointing
        /// Bytes that the block holds until its backward if it keeps everything, and bytes that it needs
        /// besides while running.
        public let keptBytes: Int
        /// See `keptBytes`.
        public let workingBytes: Int
    }
    /// One per block up to the hook point's, in order of computation.
    public let entries: [Entry]
    /// Bytes of the weights loaded up to the hook point.
    public let weightBytes: Int
    /// The largest sum of activations and gradients alive at once, with a fifth for rounded sizes and for
    /// storage that is larger than what it is reused for.
    public let activationBytes: Int
    private let hasBudget: Bool

    /// Memory of the process beside weights and activations: code, tables, the text's keys and values,
    /// buffers.
    public static let overheadBytes = 64 << 20

    /// Per block, for `UNet.forward`.
    public var policies: [GradientCheckpointing] { entries.map(\.policy) }
    /// The expected memory of the process.
    public var totalBytes: Int { weightBytes + activationBytes + Self.overheadBytes }

    /// Plans the gradient from `hook` to latents of that size, by rule: nothing is loaded or run.
    /// - Parameters:
    ///   - budget: bytes for the whole process; nil keeps everything.
    ///   - weightBytes: of the weights loaded up to the hook.
    /// - Throws: `MemoryShortage` when even recomputing every block does not fit.
    public init(
        _ config: UNetConfig, to hook: HookPoint, _ size: LatentSize, weightBytes: Int, budget: Int? = nil
    ) throws {
        let blocks = Array(config.blocks()[...hook.block])
        let model = ActivationModel(blocks: blocks, size: size)
        var policies = [GradientCheckpointing](repeating: .keep, count: blocks.count)
        let gain = blocks.indices.dropLast().map { index in
            let flops = blocks[index].flops(size, config: config)
            return (index: index, perFlop: Double(model.kept(index)) / Double(max(1, flops)))
        }
        var candidates = gain.filter { model.kept($0.index) > 0 }.sorted { $0.perFlop < $1.perFlop }.map(\.index)
        var peak = model.peak(policies)
        let limit = budget.map { $0 - weightBytes - Self.overheadBytes } ?? .max
        while peak > limit, let next = candidates.popLast() {
            policies[next] = .recompute
            let changed = model.peak(policies)
            if changed < peak { peak = changed } else { policies[next] = .keep }
        }
        if peak > limit, let budget {
            throw MemoryShortage(
                hook: hook.name, size: size, budget: budget, weightBytes: weightBytes, activationBytes: peak)
        }
        entries = blocks.indices.map {
            Entry(
                name: blocks[$0].name, policy: policies[$0], keptBytes: model.kept($0),
                workingBytes: model.working($0))
        }
        self.weightBytes = weightBytes
        activationBytes = peak
        hasBudget = budget != nil
    }

    /// Makes the engine give idle memory back rather than exceed the plan. Without a budget nothing is
    /// limited.
    public func enforce(on engine: Engine) {
        if hasBudget { engine.workspace.limit(to: activationBytes) }
    }

    /// A line per block, and one with the sums.
    public var description: String {
        let width = entries.map(\.name.count).max() ?? 0
        let lines = entries.map { entry in
            let name = entry.name + String(repeating: " ", count: width - entry.name.count)
            return "\(name)  \(entry.policy == .keep ? "keep     " : "recompute")  \(formatBytes(entry.keptBytes))"
        }
        let sum =
            "weights \(formatBytes(weightBytes)), activations \(formatBytes(activationBytes)), "
            + "other \(formatBytes(Self.overheadBytes)): \(formatBytes(totalBytes))"
        return (lines + [sum]).joined(separator: "\n")
    }
}

extension UNetConfig {
    /// The largest sum of activations alive at once in a forward pass to a hook point, with a fifth as in `MemoryPlan`.
    package func forwardBytes(to hook: HookPoint, _ size: LatentSize) -> Int {
        ActivationModel(blocks: Array(blocks()[...hook.block]), size: size).forwardPeak
    }
}

/// A budget that cannot hold a pass: a backward one even if every block is recomputed.
public struct MemoryShortage: Failure, Equatable {
    /// The hook point's name.
    public let hook: String
    /// Of the latents: batch, height and width.
    public let size: LatentSize
    /// Bytes that the whole process may use.
    public let budget: Int
    /// Bytes of the weights loaded up to the hook point.
    public let weightBytes: Int
    /// The least that activations and gradients take.
    public let activationBytes: Int
    /// Whether the budget is what the machine has free, not what somebody asked for.
    public var isWhatIsFree = false

    package init(
        hook: String, size: LatentSize, budget: Int, weightBytes: Int, activationBytes: Int, isWhatIsFree: Bool = false
    ) {
        (self.hook, self.size, self.budget) = (hook, size, budget)
        (self.weightBytes, self.activationBytes, self.isWhatIsFree) = (weightBytes, activationBytes, isWhatIsFree)
    }

    /// `.usage`: exit status 2.
    public var kind: FailureKind { .usage }
    /// The smallest budget that would do.
    public var needed: Int { weightBytes + activationBytes + MemoryPlan.overheadBytes }

    public var description: String {
        "\(formatBytes(budget)) of \(isWhatIsFree ? "free " : "")memory is not enough for \(hook), batch \(size.batch), "
            + "latent \(size.width)×\(size.height): weights \(formatBytes(weightBytes)), activations at least "
            + "\(formatBytes(activationBytes)), other \(formatBytes(MemoryPlan.overheadBytes)); "
            + "\(formatBytes(needed)) would do, or choose a smaller batch or size"
    }
}

/// `1.5 GB`, `23 MB`: powers of ten, as memory is sold and `ls` counts.
package func formatBytes(_ bytes: Int) -> String {
    let megabytes = (Double(bytes) / 1e5).rounded() / 10
    if megabytes < 1000 { return "\(megabytes < 10 ? megabytes : megabytes.rounded()) MB" }
    return "\((megabytes / 10).rounded() / 100) GB"
}

/// Bytes of activations by rule, block by block, and their sum over the walk forward and back.
struct ActivationModel {
    let blocks: [BlockDescription]
    let size: LatentSize

    private func output(_ i: Int) -> Int { 4 * blocks[i].rows(size) * blocks[i].outChannels }

    /// Tensors that the block makes and keeps, its input not counted unless it made that too (a
    /// concatenation).
    func kept(_ i: Int) -> Int {
        let (block, n) = (blocks[i], blocks[i].rows(size))
        switch block.kind {
        case .convolutionIn, .downsample, .upsample, .output: return 0
        case .resnet:
            let joined = block.skipChannels > 0 ? block.inChannels + block.skipChannels : 0
            return 4 * n * (joined + block.outChannels)
        case .transformer:
            // proj_in, q, k, v, mixed, attn1's sum, q, mixed, attn2's sum, 8 for [value | gate]; two numbers per row
            // and head of softmax statistics.
            return 4 * n * (17 * block.outChannels + 2 * block.heads)
        }
    }

    /// Bytes alive while the block runs, forward or backward, beside what it keeps, its input and its output.
    func working(_ i: Int) -> Int {
        let (block, n) = (blocks[i], blocks[i].rows(size))
        let (input, c) = (block.inChannels + block.skipChannels, block.outChannels)
        switch block.kind {
        case .convolutionIn, .downsample: return 0
        case .upsample: return 4 * n * block.inChannels
        case .output: return 4 * n * block.inChannels
        case .resnet: return 4 * n * (2 * input + c)
        // Backward of the feed-forward: 4C before, 8C after GEGLU, and the hidden state's gradient.
        case .transformer: return 4 * n * 13 * c
        }
    }

    /// Whether a block's backward reads its input even when everything is kept.
    private func readsInput(_ i: Int) -> Bool {
        switch blocks[i].kind {
        case .transformer, .output: true
        case .resnet: blocks[i].skipChannels == 0
        default: false
        }
    }

    /// The largest sum alive at once over all moments of the walk, and a fifth of it.
    func peak(_ policies: [GradientCheckpointing]) -> Int {
        let last = blocks.count - 1
        let recomputes = (0...last).map { policies[$0] == .recompute }
        /// The last moment at which block i's output is needed: moments 0…last go forward, then last…0 back.
        func lastUse(_ i: Int) -> Int {
            var use = i + 1
            if i < last, readsInput(i + 1) || recomputes[i + 1] { use = 2 * last - i }
            for j in blocks.indices where blocks[j].skipSource == i {
                use = max(use, recomputes[j] ? 2 * last + 1 - j : j)
            }
            if i == last || (blocks[i].isSkipSource && !blocks.contains { $0.skipSource == i }) {
                use = max(use, last)
            }
            return use
        }
        let uses = blocks.indices.map(lastUse)
        var peak = 0
        for moment in 0...(2 * last + 1) {
            let forward = moment <= last
            let i = forward ? moment : 2 * last + 1 - moment
            var alive = working(i) + kept(i)
            for j in blocks.indices {
                if j < i, !recomputes[j] { alive += kept(j) }
                if j <= min(moment, last), uses[j] >= moment { alive += output(j) }
            }
            if !forward { alive += 2 * output(i) + pendingSkipGradients(before: i) }
            peak = max(peak, alive)
        }
        return peak + peak / 5
    }

    /// The same of the walk forward alone, which keeps nothing but skips.
    var forwardPeak: Int {
        var peak = 0
        for moment in blocks.indices {
            let skips = (0..<moment).filter { made in
                blocks[made].isSkipSource && !blocks[..<moment].contains { $0.skipSource == made }
            }
            let input = moment > 0 ? output(moment - 1) : 0
            let alive = working(moment) + kept(moment) + input + output(moment)
            peak = max(peak, skips.reduce(alive) { $0 + output($1) })
        }
        return peak + peak / 5
    }

    /// Gradients of skips taken at or after block i and made before it.
    private func pendingSkipGradients(before i: Int) -> Int {
        blocks.indices.reduce(0) { sum, j in
            guard j >= i, let source = blocks[j].skipSource, source < i else { return sum }
            return sum + output(source)
        }
    }
}
