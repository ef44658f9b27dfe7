import CLVO
import Foundation
import Ops
import Parallel
import StableDiffusion
import Tensors

/// What a trace's handle points to: a number in the store of its model.
final class TraceBox: @unchecked Sendable {
    // Neither is kept alive: a trace is closed with its model.
    private weak var model: ModelBox?
    private weak var store: TraceStore?
    private let number: Int
    private let process = getpid()

    init(_ model: ModelBox, _ store: TraceStore, _ number: Int) {
        (self.model, self.store, self.number) = (model, store, number)
    }

    deinit { store?.remove(number) }

    var handle: OpaquePointer { OpaquePointer(Unmanaged.passRetained(self).toOpaque()) }

    /// Waits for a turn of the model.
    func take(_ body: (OpenModel, KeptTrace, Turn) throws -> Void) throws {
        guard let model else { throw Refusal(.closed, "the model is closed") }
        try model.take { model, turn in
            guard let kept = model.traces.trace(number) else { throw Refusal(.closed, "the trace is closed") }
            try body(model, kept, turn)
        }
    }

    static func of(_ handle: OpaquePointer?) throws -> TraceBox {
        guard let handle else { throw Refusal("trace: expected a handle, found NULL") }
        return Unmanaged<TraceBox>.fromOpaque(UnsafeRawPointer(handle)).takeUnretainedValue()
    }

    /// As `Box.free`.
    static func free(_ handle: OpaquePointer?) {
        guard let handle else { return }
        let box = Unmanaged<TraceBox>.fromOpaque(UnsafeRawPointer(handle))
        if box.takeUnretainedValue().process == getpid() { box.release() }
    }
}

@c @implementation
public func lvo_model_forward(
    _ model: OpaquePointer?, _ layer: UnsafePointer<CChar>?, _ latent: UnsafePointer<Float>?,
    _ latent_shape: UnsafePointer<Int64>?, _ timesteps: UnsafePointer<Float>?, _ timestep_count: Int64,
    _ context: UnsafePointer<Float>?, _ context_shape: UnsafePointer<Int64>?, _ layout: Int32,
    _ output: UnsafeMutablePointer<Float>?, _ output_count: Int64, _ trace: UnsafeMutablePointer<OpaquePointer?>?,
    _ error: UnsafeMutablePointer<lvo_error>?
) -> Int32 {
    report(to: error) {
        trace?.pointee = nil
        if output == nil, trace == nil { throw Refusal("output, trace: expected one of them at least, found NULL") }
        let box = try ModelBox.of(model)
        try box.take { model, turn in
            let shape = try Pass.latentShape(latent_shape, "latent", model)
            let place = try Place(layer, layout, model)
            let target = try output.map {
                try Argument.output($0, count: output_count, expected: place.shape(shape), "output")
            }
            let arguments = PassArguments(
                latent: latent, latentShape: latent_shape, timesteps: timesteps, timestepCount: timestep_count,
                context: context, contextShape: context_shape)
            let pass = try Pass(arguments, to: [place.hook], gradient: trace != nil, model)
            guard let trace else {
                let activation = try pass.unet.activations(
                    pass.latent, at: [place.hook], time: pass.time, text: pass.text) { _ in try turn.check() }[0]
                if let target { place.layout.write(activation, to: target, engine: model.engine) }
                return
            }
            let kept = try model.trace(pass, place, shape, turn)
            if let target { place.layout.write(kept.trace.activation, to: target, engine: model.engine) }
            trace.pointee = TraceBox(box, model.traces, model.traces.keep(kept)).handle
        }
    }
}

extension OpenModel {
    fileprivate func trace(_ pass: Pass, _ place: Place, _ shape: [Int], _ turn: Turn) throws -> KeptTrace {
        let size = LatentSize(batch: shape[0], height: shape[2], width: shape[3])
        let plan = try session.memoryPlan(to: place.hook, size)
        if !traces.isEmpty { try checkRoom(plan, place.hook, size) }
        let trace = try pass.unet.forward(
            pass.latent, to: place.hook, time: pass.time, text: pass.text, policies: plan.policies
        ) { _ in try turn.check() }
        return KeptTrace(
            unet: pass.unet, trace: trace, layout: place.layout, shape: place.shape(shape), latentShape: shape)
    }

    /// The plan is for one trace: whether there is room for one beside those that are kept.
    private func checkRoom(_ plan: MemoryPlan, _ hook: HookPoint, _ size: LatentSize) throws {
        let used = engine.workspace.statistics
        guard let free = Machine().availableMemory, plan.activationBytes > free + used.bytesReserved - used.bytesInUse else {
            return
        }
        throw Refusal(
            .outOfMemory,
            "\(hook.name), batch \(size.batch), latent \(size.width)×\(size.height): no memory for one more trace "
                + "of about \(plan.activationBytes >> 20) MB; free those that are no longer needed")
    }
}

@c @implementation
public func lvo_trace_gradient(
    _ trace: OpaquePointer?, _ cotangent: UnsafePointer<Float>?, _ cotangent_count: Int64,
    _ gradient: UnsafeMutablePointer<Float>?, _ gradient_count: Int64, _ error: UnsafeMutablePointer<lvo_error>?
) -> Int32 {
    report(to: error) {
        try TraceBox.of(trace).take { model, kept, turn in
            try Argument.check(count: cotangent_count, expected: kept.shape, "cotangent")
            let source = try Argument.floats(cotangent, "cotangent")
            try Argument.checkFinite(source, kept.shape, "cotangent")
            let target = try Argument.output(gradient, count: gradient_count, expected: kept.latentShape, "gradient")
            let upper = kept.layout.read(source, kept.trace.activation.shape, engine: model.engine)
            let found = try kept.unet.backward(kept.trace.copy(), gradient: upper) { _ in try turn.check() }
            target.update(from: found.pointer, count: found.count)
        }
    }
}

@c @implementation
public func lvo_trace_free(_ trace: OpaquePointer?) { TraceBox.free(trace) }
