import Files
import Tensors

/// Places inside a spatial transformer where an activation can be looked at, in order of computation.
public enum InnerPoint: Int, Sendable, Comparable, CaseIterable {
    /// After the projection to tokens.
    case projIn
    /// After `to_out` of self-attention, before the residual.
    case attn1
    /// After `to_out` of cross-attention, before the residual.
    case attn2
    /// After the feed-forward's last layer, before the residual.
    case feedForward
    /// The transformer block's result, residuals included.
    case block
    /// The block's own result.
    case output

    /// Whether `a` is computed before `b`.
    public static func < (a: InnerPoint, b: InnerPoint) -> Bool { a.rawValue < b.rawValue }

    /// The part of the module's name after the block's.
    var suffix: String {
        switch self {
        case .projIn: ".proj_in"
        case .attn1: ".transformer_blocks.0.attn1"
        case .attn2: ".transformer_blocks.0.attn2"
        case .feedForward: ".transformer_blocks.0.ff"
        case .block: ".transformer_blocks.0"
        case .output: ""
        }
    }
}

/// A module whose output can be observed, edited, optimized: a module name as in the checkpoint's tensor
/// names. Its activation is always `[B, h·w, C]`.
public struct HookPoint: Sendable, Hashable {
    /// Canonical name, without the prefix `unet.`.
    public let name: String
    /// Index of the block in `UNetConfig.blocks()`.
    public let block: Int
    /// Where inside the block.
    public let inner: InnerPoint
    /// Width `C` of the activation.
    public let channels: Int
    /// How many times the latent has been halved there.
    public let level: Int

    /// Height and width of the activation's map for a latent of that height and width; positions run row by row.
    public func map(height: Int, width: Int) -> (height: Int, width: Int) {
        BlockDescription.mapSize(height, width, level: level)
    }

    /// Shape of the activation for a latent `[batch, 4, height, width]`.
    public func shape(batch: Int, height: Int, width: Int) -> [Int] {
        let size = map(height: height, width: width)
        return [batch, size.height * size.width, channels]
    }
}

extension UNetConfig {
    /// Every hook point in order of computation.
    public func hookPoints() -> [HookPoint] {
        blocks().enumerated().flatMap { index, block in
            let points: [InnerPoint] = block.kind == .transformer ? InnerPoint.allCases : [.output]
            return points.map {
                HookPoint(
                    name: block.name + $0.suffix, block: index, inner: $0, channels: block.outChannels,
                    level: block.level)
            }
        }
    }

    /// The hook point called `name`; the prefix `unet.` is accepted.
    /// - Throws: `SimpleFailure(.usage)` naming the nearest ones.
    public func hookPoint(_ name: String) throws -> HookPoint {
        let points = hookPoints()
        let plain = name.hasPrefix("unet.") ? String(name.dropFirst("unet.".count)) : name
        if let point = points.first(where: { $0.name == plain }) { return point }
        let nearest = points.map { (name: $0.name, distance: Text.editDistance($0.name, plain)) }
            .enumerated().sorted { ($0.element.distance, $0.offset) < ($1.element.distance, $1.offset) }
            .prefix(3).map(\.element.name)
        throw SimpleFailure(
            .usage,
            "no hook point '\(name)' among the \(points.count) of this U-Net; nearest: "
                + nearest.joined(separator: ", "))
    }
}

/// Looks at activations during a forward pass, and may replace them.
///
/// Called with each requested hook point, in order of computation, and its activation `[B, h·w, C]`; what it
/// returns goes on through the network (steering), nil leaves the activation as it is. The tensor must not be
/// written to.
public typealias HookVisitor = (_ hook: HookPoint, _ activation: Tensor) -> Tensor?

/// The part of a pass's observation that concerns one block.
struct BlockObserver {
    let hooks: [HookPoint]
    let visit: HookVisitor

    func looks(at point: InnerPoint) -> Bool { hooks.contains { $0.inner == point } }

    /// Shows `activation` to whoever asked for `point`; the replacement if one was given.
    func see(_ point: InnerPoint, _ activation: Tensor) -> Tensor? {
        guard let hook = hooks.first(where: { $0.inner == point }) else { return nil }
        let tokens = [activation.shape[0], activation.count / activation.shape[0] / activation.channels]
        guard let edited = visit(hook, activation.reshaped(tokens + [activation.channels])) else { return nil }
        return edited.reshaped(activation.shape)
    }
}
