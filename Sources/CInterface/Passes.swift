import CLVO
import Ops
import StableDiffusion
import Tensors

/// The arguments that every pass through the U-Net has.
struct PassArguments {
    let latent: UnsafePointer<Float>?
    let latentShape: UnsafePointer<Int64>?
    let timesteps: UnsafePointer<Float>?
    let timestepCount: Int64
    let context: UnsafePointer<Float>?
    let contextShape: UnsafePointer<Int64>?
}

/// A pass through the U-Net with checked inputs.
struct Pass {
    let latent: Tensor
    let unet: UNet
    let time: TimeConditioning
    let text: TextConditioning

    /// Tokens of a text: fifty times as many as CLIP's chunks have.
    private static let mostTokens = 4096

    /// - Parameter gradient: whether activations are kept for gradients.
    /// - Throws: `Refusal` for arguments that do not fit the model; `MemoryShortage`.
    init(_ arguments: PassArguments, to hooks: [HookPoint], gradient: Bool = false, _ model: OpenModel) throws {
        let (latentShape, contextShape, timesteps) = try Self.check(arguments, model)
        let size = Self.size(latentShape, contextShape)
        let deepest = hooks.max { $0.block < $1.block }
        for hook in hooks.filter({ $0.block == deepest?.block }) {
            if gradient {
                try model.session.memoryPlan(to: hook, size).enforce(on: model.engine)
            } else {
                try model.session.checkForward(to: hook, size)
            }
        }
        latent = try Argument.tensor(arguments.latent, latentShape, "latent")
        let context = try Argument.tensor(arguments.context, contextShape, "context")
        unet = try model.session.unet(upTo: deepest)
        time = model.time(timesteps, unet)
        text = model.text(context, unet)
    }

    private static func size(_ latent: [Int], _ context: [Int]) -> LatentSize {
        var size = LatentSize(batch: latent[0], height: latent[2], width: latent[3])
        size.contextLength = context[1]
        return size
    }

    private static func check(
        _ arguments: PassArguments, _ model: OpenModel
    ) throws -> (latent: [Int], context: [Int], timesteps: [Float]) {
        let latent = try latentShape(arguments.latentShape, "latent", model)
        let (batch, width) = (latent[0], model.config.contextWidth)
        let context = try Argument.shape(arguments.contextShape, axes: 3, "context", "[1 or \(batch), T, \(width)]")
        guard context[0] == 1 || context[0] == batch, context[1] <= mostTokens, context[2] == width else {
            throw Refusal("context: expected [1 or \(batch), T, \(width)] with T up to \(mostTokens), found \(context)")
        }
        let source = try Argument.floats(arguments.timesteps, "timesteps")
        guard arguments.timestepCount == 1 || arguments.timestepCount == Int64(batch) else {
            throw Refusal("timesteps: expected 1 or \(batch), found \(arguments.timestepCount)")
        }
        let timesteps = (0..<Int(arguments.timestepCount)).map { source[$0] }
        for timestep in timesteps { try model.schedule.check(timestep: Double(timestep)) }
        return (latent, context, timesteps)
    }

    /// A latent's shape, of sides and batches that can be computed with.
    static func latentShape(_ pointer: UnsafePointer<Int64>?, _ name: String, _ model: OpenModel) throws -> [Int] {
        let (channels, most) = (model.config.inChannels, UNetConfig.largestSide)
        let shape = try Argument.shape(pointer, axes: 4, name, "[B, \(channels), h, w]")
        guard shape[1] == channels, shape[2] <= most, shape[3] <= most else {
            throw Refusal("\(name): expected [B, \(channels), h, w] with h and w up to \(most), found \(shape)")
        }
        try checkPositions(LatentSize(batch: shape[0], height: shape[2], width: shape[3]), name)
        return shape
    }

    /// - Throws: `Refusal` for latents of which operations, which attention needs for every pair of positions, could not be
    ///   counted.
    static func checkPositions(_ size: LatentSize, _ name: String) throws {
        let positions = Double(size.height) * Double(size.width)
        guard size.batch <= 1 << 16, Double(size.batch) * positions <= 0x1p30,
            Double(size.batch) * positions * positions <= 0x1p48
        else {
            throw Refusal(
                "\(name): \(size.batch) samples of \(size.width)×\(size.height) positions are more than can be computed; "
                    + "expected fewer or smaller ones")
        }
    }
}

/// Where in the U-Net a call looks, and how its output lies in the caller's memory.
struct Place {
    let hook: HookPoint
    let layout: ActivationLayout

    /// - Parameter name: nil or `noise`: the U-Net's output.
    init(_ name: UnsafePointer<CChar>?, _ layout: Int32, _ model: OpenModel) throws {
        let layout = try ActivationLayout(checking: layout)
        let name = try name.map { try Argument.text($0, "layer") } ?? Place.noise
        let isNoise = name == Place.noise
        hook = try model.hook(isNoise ? "conv_out" : name)
        self.layout = isNoise ? .maps : layout
    }

    static let noise = "noise"

    /// Of the activation, as it is computed.
    func tokens(_ latent: [Int]) -> [Int] { hook.shape(batch: latent[0], height: latent[2], width: latent[3]) }

    /// Of the activation, in the caller's memory.
    func shape(_ latent: [Int]) -> [Int] { layout.shape(tokens(latent), hook.map(height: latent[2], width: latent[3])) }
}

@c @implementation
public func lvo_model_activations(
    _ model: OpaquePointer?, _ layers: UnsafePointer<UnsafePointer<CChar>?>?, _ layer_count: Int32,
    _ latent: UnsafePointer<Float>?, _ latent_shape: UnsafePointer<Int64>?, _ timesteps: UnsafePointer<Float>?,
    _ timestep_count: Int64, _ context: UnsafePointer<Float>?, _ context_shape: UnsafePointer<Int64>?, _ layout: Int32,
    _ outputs: UnsafePointer<UnsafeMutablePointer<Float>?>?, _ counts: UnsafePointer<Int64>?,
    _ error: UnsafeMutablePointer<lvo_error>?
) -> Int32 {
    report(to: error) {
        guard let layers, let outputs, let counts, (1...4096).contains(layer_count) else {
            throw Refusal("layers: expected 1 to 4096 with outputs and counts, found \(layer_count) or NULL")
        }
        try ModelBox.of(model).take { model, turn in
            let shape = try Pass.latentShape(latent_shape, "latent", model)
            let places = try (0..<Int(layer_count)).map { index in
                guard let name = layers[index] else { throw Refusal("layers: expected text, found NULL at \(index)") }
                return try Place(name, layout, model)
            }
            let buffers = try places.enumerated().map { index, place in
                try Argument.output(
                    outputs[index], count: counts[index], expected: place.shape(shape), "outputs[\(index)]")
            }
            let arguments = PassArguments(
                latent: latent, latentShape: latent_shape, timesteps: timesteps, timestepCount: timestep_count,
                context: context, contextShape: context_shape)
            let pass = try Pass(arguments, to: places.map(\.hook), model)
            let activations = try pass.unet.activations(
                pass.latent, at: places.map(\.hook), time: pass.time, text: pass.text) { _ in try turn.check() }
            for (index, activation) in activations.enumerated() {
                places[index].layout.write(activation, to: buffers[index], engine: model.engine)
            }
        }
    }
}

@c @implementation
public func lvo_model_replaced(
    _ model: OpaquePointer?, _ layer: UnsafePointer<CChar>?, _ activation: UnsafePointer<Float>?,
    _ activation_count: Int64, _ layout: Int32, _ latent: UnsafePointer<Float>?, _ latent_shape: UnsafePointer<Int64>?,
    _ timesteps: UnsafePointer<Float>?, _ timestep_count: Int64, _ context: UnsafePointer<Float>?,
    _ context_shape: UnsafePointer<Int64>?, _ noise: UnsafeMutablePointer<Float>?, _ noise_count: Int64,
    _ error: UnsafeMutablePointer<lvo_error>?
) -> Int32 {
    report(to: error) {
        try ModelBox.of(model).take { model, turn in
            let shape = try Pass.latentShape(latent_shape, "latent", model)
            guard let layer else { throw Refusal("layer: expected text, found NULL") }
            let (place, end) = (try Place(layer, layout, model), try Place(nil, layout, model))
            guard place.hook != end.hook else { throw Refusal("layer: expected one before the U-Net's output") }
            try Argument.check(count: activation_count, expected: place.shape(shape), "activation")
            let source = try Argument.floats(activation, "activation")
            try Argument.checkFinite(source, place.shape(shape), "activation")
            let target = try Argument.output(noise, count: noise_count, expected: end.shape(shape), "noise")
            let arguments = PassArguments(
                latent: latent, latentShape: latent_shape, timesteps: timesteps, timestepCount: timestep_count,
                context: context, contextShape: context_shape)
            let pass = try Pass(arguments, to: [end.hook], model)
            let replacement = place.layout.read(source, place.tokens(shape), engine: model.engine)
            let output = try pass.unet.predict(
                pass.latent, time: pass.time, text: pass.text, observing: [place.hook], visit: { _, _ in replacement },
                progress: { _ in try turn.check() })
            target.update(from: output.pointer, count: output.count)
        }
    }
}
