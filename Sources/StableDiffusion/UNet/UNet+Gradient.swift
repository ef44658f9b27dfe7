import Ops
import Tensors

/// A forward pass to a hook point that can be walked back once: the activation, and the values that each
/// block keeps. A copy can be walked back by itself.
public final class Trace {
    /// `[B, h·w, C]`
    public let activation: Tensor
    /// Where the activation was taken.
    public let hook: HookPoint
    fileprivate let outputShape: [Int]
    fileprivate var entries: [Entry]

    fileprivate struct Entry {
        let description: BlockDescription
        let vjp: VectorJacobianProduct
    }

    fileprivate init(activation: Tensor, hook: HookPoint, entries: [Entry]) {
        self.hook = hook
        outputShape = activation.shape
        self.activation = activation.tokens
        self.entries = entries
    }

    /// The same pass to be walked back once more; both share what is kept, which stays until both are used up or gone.
    public func copy() -> Trace { Trace(self) }

    private init(_ trace: Trace) {
        (activation, hook, outputShape, entries) = (trace.activation, trace.hook, trace.outputShape, trace.entries)
    }
}

/// Gradient checkpointing of a block: the values it keeps between forward and backward.
public enum GradientCheckpointing: String, Sendable {
    /// Everything its backward needs.
    case keep
    /// Its input only; backward computes the block again. Same bits, since it is the same computation.
    case recompute
}

extension UNet {
    /// The activation `[B, h·w, C]` at a hook point, without the means to differentiate it.
    /// - Precondition: as for `forward`.
    public func activation(
        _ latent: Tensor, at hook: HookPoint, time: TimeConditioning, text: TextConditioning
    ) -> Tensor {
        walk(latent, through: hook, time: time, text: text, record: { _, _ in }).tokens
    }

    /// The activations `[B, h·w, C]` at several hook points, in their order, of one pass that ends at the deepest.
    /// - Parameter progress: called after each block; what it throws ends the pass.
    /// - Precondition: as for `forward`.
    public func activations(
        _ latent: Tensor, at hooks: [HookPoint], time: TimeConditioning, text: TextConditioning,
        progress: (BlockDescription) throws -> Void
    ) rethrows -> [Tensor] {
        guard let deepest = hooks.max(by: { ($0.block, $0.inner) < ($1.block, $1.inner) }) else { return [] }
        var seen: [HookPoint: Tensor] = [:]
        let others = Array(Set(hooks).subtracting([deepest]))
        seen[deepest] = try walk(
            latent, through: deepest, time: time, text: text, observing: others,
            visit: { seen[$0] = $1; return nil }, record: { step, _ in try progress(step.description) }
        ).tokens
        return hooks.compactMap { seen[$0] }
    }

    /// The activation at a hook point, ready for `backward`.
    /// - Parameters:
    ///   - policies: per block, what to keep; blocks beyond the array keep everything.
    ///   - progress: called after each block; what it throws ends the pass.
    /// - Precondition: the latent is `[B, 4, H, W]`, the text's batch 1 or B, and `reaches(hook)`; time step
    ///   and text were prepared by this U-Net.
    public func forward(
        _ latent: Tensor, to hook: HookPoint, time: TimeConditioning, text: TextConditioning,
        policies: [GradientCheckpointing] = [], progress: (BlockDescription) throws -> Void
    ) rethrows -> Trace {
        var entries: [Trace.Entry] = []
        let activation = try walk(latent, through: hook, time: time, text: text, differentiated: true) { step, vjp in
            let keeps = step.index >= policies.count || policies[step.index] == .keep
            entries.append(
                Trace.Entry(
                    description: step.description,
                    vjp: keeps ? vjp : { step.call.forward(step.input).vjp($0) }))
            try progress(step.description)
        }
        return Trace(activation: activation, hook: hook, entries: entries)
    }

    /// The vector-Jacobian product of the walk: the gradient `[B, 4, H, W]` at the latent from the one
    /// `[B, h·w, C]` at the activation. Uses up the trace: memory is given back block by block.
    /// - Parameter progress: called after each block, the last one first; what it throws ends the pass.
    /// - Precondition: the gradient has the activation's shape, and the trace was not walked back before.
    public func backward(
        _ trace: Trace, gradient: Tensor, progress: (BlockDescription) throws -> Void
    ) rethrows -> Tensor {
        precondition(gradient.shape == trace.activation.shape, "gradient \(gradient.shape) at \(trace.hook.name)")
        precondition(!trace.entries.isEmpty, "a trace can be walked back once")
        var d = gradient.reshaped(trace.outputShape)
        /// Gradients of skips that were taken, by the block that made them.
        var skipGradients: [Int: Tensor] = [:]
        while let entry = trace.entries.popLast() {
            if let dSkip = skipGradients.removeValue(forKey: trace.entries.count) {
                d = Elementwise.add(d, dSkip, engine: engine)
            }
            let (dInput, dSkip) = entry.vjp(d)
            if let source = entry.description.skipSource { skipGradients[source] = dSkip }
            d = dInput
            try progress(entry.description)
        }
        return d.channelsFirst(in: engine.workspace)
    }

    /// The U-Net's output `[B, 4, H, W]` (predicted noise, or velocity), visiting hook points on the way.
    /// - Parameters:
    ///   - hooks: whose activations `visit` is shown, any number.
    ///   - visit: may keep the activation, and may return another in its place (steering).
    ///   - progress: called after each block; what it throws ends the pass.
    /// - Precondition: as for `forward`; the U-Net was loaded whole.
    public func predict(
        _ latent: Tensor, time: TimeConditioning, text: TextConditioning, observing hooks: [HookPoint] = [],
        visit: @escaping HookVisitor = { _, _ in nil }, progress: (BlockDescription) throws -> Void
    ) rethrows -> Tensor {
        try walk(
            latent, through: nil, time: time, text: text, observing: hooks, visit: visit,
            record: { step, _ in try progress(step.description) }
        ).channelsFirst(in: engine.workspace)
    }
}

// A default for `progress` would make every call one that may throw.
extension UNet {
    /// `forward` without progress.
    public func forward(
        _ latent: Tensor, to hook: HookPoint, time: TimeConditioning, text: TextConditioning,
        policies: [GradientCheckpointing] = []
    ) -> Trace {
        forward(latent, to: hook, time: time, text: text, policies: policies, progress: { _ in })
    }

    /// `backward` without progress.
    public func backward(_ trace: Trace, gradient: Tensor) -> Tensor {
        backward(trace, gradient: gradient, progress: { _ in })
    }

    /// `predict` without progress.
    public func predict(
        _ latent: Tensor, time: TimeConditioning, text: TextConditioning, observing hooks: [HookPoint] = [],
        visit: @escaping HookVisitor = { _, _ in nil }
    ) -> Tensor {
        predict(latent, time: time, text: text, observing: hooks, visit: visit, progress: { _ in })
    }
}

extension Tensor {
    /// A map `[B, h, w, C]` as tokens `[B, h·w, C]`.
    fileprivate var tokens: Tensor {
        reshaped([shape[0], count / max(1, shape[0] * channels), channels])
    }
}
