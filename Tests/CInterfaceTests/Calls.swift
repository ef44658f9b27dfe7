import CInterface
import CLVO
import Files
import Foundation
import Testing

/// An error as a caller of the C interface sees it.
struct CallError: Error, Equatable {
    let code: Int
    let message: String
}

/// Makes a call.
///
/// - Throws: `CallError` unless it returns LVO_OK.
func call(_ body: (UnsafeMutablePointer<lvo_error>) -> Int32) throws {
    var error = lvo_error()
    let code = body(&error)
    if code == Int32(LVO_OK) { return }
    let message = withUnsafeBytes(of: &error.message) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    #expect(error.code == code)
    throw CallError(code: Int(code), message: message)
}

/// Makes a call that hands out JSON.
func json(
    _ body: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>, UnsafeMutablePointer<lvo_error>) -> Int32
) throws -> JSON {
    var text: UnsafeMutablePointer<CChar>?
    try call { body(&text, $0) }
    defer { lvo_text_free(text) }
    return try JSON.parse(String(cString: #require(text)))
}

/// The error of a call that must fail.
func refusal(_ body: (UnsafeMutablePointer<lvo_error>) -> Int32) -> CallError? {
    do {
        try call(body)
        return nil
    } catch { return error as? CallError }
}

/// A handle, freed with this object.
final class Handle {
    let pointer: OpaquePointer
    private let free: (OpaquePointer?) -> Void

    init(
        free: @escaping (OpaquePointer?) -> Void,
        _ open: (UnsafeMutablePointer<OpaquePointer?>, UnsafeMutablePointer<lvo_error>) -> Int32
    ) throws {
        var made: OpaquePointer?
        try call { open(&made, $0) }
        (pointer, self.free) = (try #require(made), free)
    }

    deinit { free(pointer) }

    static func model(_ settings: String = #"{"model": "embedded", "threads": 2}"#) throws -> Handle {
        try Handle(free: { lvo_model_free($0) }) { lvo_model_open(settings, $0, $1) }
    }

    static func autoencoder(_ settings: String = #"{"path": "embedded", "threads": 2}"#) throws -> Handle {
        try Handle(free: { lvo_sae_free($0) }) { lvo_sae_open(settings, $0, $1) }
    }

    static func trainer(_ settings: String) throws -> Handle {
        try Handle(free: { lvo_trainer_free($0) }) { lvo_trainer_open(settings, $0, $1) }
    }

    static func result(
        _ body: (UnsafeMutablePointer<OpaquePointer?>, UnsafeMutablePointer<lvo_error>) -> Int32
    ) throws -> Handle {
        try Handle(free: { lvo_result_free($0) }, body)
    }
}

extension Handle {
    /// Of a result: an array's numbers and shape.
    func array(_ name: String) throws -> (shape: [Int], values: [Float]) {
        let (data, shape, type) = try raw(name)
        try #require(type == LVO_FLOAT32)
        let count = shape.reduce(1, *)
        let values = data.assumingMemoryBound(to: Float.self)
        return (shape, Array(UnsafeBufferPointer(start: values, count: count)))
    }

    /// Of a result: an array of bytes.
    func bytes(_ name: String) throws -> (shape: [Int], values: [UInt8]) {
        let (data, shape, type) = try raw(name)
        try #require(type == LVO_UINT8)
        return (shape, Array(UnsafeRawBufferPointer(start: data, count: shape.reduce(1, *))))
    }

    func json() throws -> JSON { try CInterfaceTests.json { lvo_result_json(pointer, $0, $1) } }

    private func raw(_ name: String) throws -> (data: UnsafeRawPointer, shape: [Int], type: Int) {
        var data: UnsafeRawPointer?
        var (type, rank): (Int32, Int32) = (-1, 0)
        var shape = [Int64](repeating: 0, count: 8)
        try call { lvo_result_array(pointer, name, &data, &type, &rank, &shape, $0) }
        return (try #require(data), shape.prefix(Int(rank)).map { Int($0) }, Int(type))
    }
}

/// The inputs of a pass through the embedded model.
struct Inputs {
    var latent: [Float]
    var latentShape: [Int64]
    var timesteps: [Float]
    var context: [Float]
    var contextShape: [Int64]

    /// Standard latents under a prompt.
    static func of(_ model: Handle, batch: Int = 1, side: Int = 16, timesteps: [Float] = [301]) throws -> Inputs {
        let result = try Handle.result { lvo_model_encode(model.pointer, #"{"prompts": ["a red circle"]}"#, $0, $1) }
        let context = try result.array("context")
        let count = batch * 4 * side * side
        return Inputs(
            latent: (0..<count).map { Float(($0 * 7919 + 13) % 1009) / 504 - 1 },
            latentShape: [Int64(batch), 4, Int64(side), Int64(side)], timesteps: timesteps,
            context: context.values, contextShape: context.shape.map { Int64($0) })
    }

    /// The activation of a layer, and its trace if `keeping`.
    func forward(
        _ model: Handle, _ layer: String?, shape: [Int], layout: Int = LVO_MAPS,
            trace: UnsafeMutablePointer<OpaquePointer?>? = nil
    ) throws -> [Float] {
        var output = [Float](repeating: 0, count: shape.reduce(1, *))
        let count = Int64(output.count)
        try call {
            lvo_model_forward(
                model.pointer, layer, latent, latentShape, timesteps, Int64(timesteps.count), context, contextShape,
                Int32(layout), &output, count, trace, $0)
        }
        return output
    }
}

/// The layer that the embedded autoencoder is of.
let layer = "up_blocks.2.attentions.1"
