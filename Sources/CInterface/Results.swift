import CLVO
import Files
import Foundation
import Tensors

/// Named arrays and a JSON text.
final class ResultContents {
    enum Array {
        case floats(Tensor)
        case bytes([Int], UnsafeMutableBufferPointer<UInt8>)
    }

    let json: JSON
    private(set) var names: [String] = []
    private var arrays: [String: Array] = [:]

    init(_ json: JSON) { self.json = json }

    deinit {
        for case .bytes(_, let bytes) in arrays.values { bytes.deallocate() }
    }

    func add(_ name: String, _ tensor: Tensor) { add(name, .floats(tensor)) }

    /// - Parameter parts: one after the other.
    func add(_ name: String, shape: [Int], _ parts: [[UInt8]]) {
        let bytes = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: max(1, shape.reduce(1, *)))
        _ = bytes.update(fromContentsOf: parts.joined())
        add(name, .bytes(shape, bytes))
    }

    private func add(_ name: String, _ array: Array) {
        names.append(name)
        arrays[name] = array
    }

    func array(_ name: String) throws -> Array {
        guard let array = arrays[name] else {
            throw Refusal(.notFound, "no array \(name) in this result; there are: \(names.joined(separator: ", "))")
        }
        return array
    }
}

/// Contents never change, so that no turn is needed.
final class ResultBox: @unchecked Sendable {
    let contents: ResultContents
    private let process = getpid()

    init(_ contents: ResultContents) { self.contents = contents }

    var handle: OpaquePointer { OpaquePointer(Unmanaged.passRetained(self).toOpaque()) }

    static func of(_ handle: OpaquePointer?) throws -> ResultContents {
        guard let handle else { throw Refusal("result: expected a handle, found NULL") }
        return Unmanaged<ResultBox>.fromOpaque(UnsafeRawPointer(handle)).takeUnretainedValue().contents
    }

    /// As `Box.free`.
    static func free(_ handle: OpaquePointer?) {
        guard let handle else { return }
        let box = Unmanaged<ResultBox>.fromOpaque(UnsafeRawPointer(handle))
        if box.takeUnretainedValue().process == getpid() { box.release() }
    }
}

extension JSON {
    /// Text that the caller owns.
    var ownedText: UnsafeMutablePointer<CChar>? { strdup(serialized()) }
}

@c @implementation
public func lvo_text_free(_ text: UnsafeMutablePointer<CChar>?) { free(text) }

@c @implementation
public func lvo_result_json(
    _ result: OpaquePointer?, _ json: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?,
    _ error: UnsafeMutablePointer<lvo_error>?
) -> Int32 {
    report(to: error) {
        let place = try Argument.place(json, "json")
        place.pointee = try ResultBox.of(result).json.ownedText
    }
}

@c @implementation
public func lvo_result_names(
    _ result: OpaquePointer?, _ json: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?,
    _ error: UnsafeMutablePointer<lvo_error>?
) -> Int32 {
    report(to: error) {
        let place = try Argument.place(json, "json")
        place.pointee = JSON.array(try ResultBox.of(result).names.map { .string($0) }).ownedText
    }
}

@c @implementation
public func lvo_result_array(
    _ result: OpaquePointer?, _ name: UnsafePointer<CChar>?, _ data: UnsafeMutablePointer<UnsafeRawPointer?>?,
    _ type: UnsafeMutablePointer<Int32>?, _ rank: UnsafeMutablePointer<Int32>?, _ shape: UnsafeMutablePointer<Int64>?,
    _ error: UnsafeMutablePointer<lvo_error>?
) -> Int32 {
    report(to: error) {
        let place = try Argument.place(data, "data")
        guard let type, let rank, let shape else { throw Refusal("type, rank, shape: expected places for them, found NULL") }
        let extents: [Int]
        switch try ResultBox.of(result).array(Argument.text(name, "name")) {
        case .floats(let tensor):
            (place.pointee, type.pointee, extents) = (UnsafeRawPointer(tensor.pointer), Int32(LVO_FLOAT32), tensor.shape)
        case .bytes(let shape, let bytes):
            (place.pointee, type.pointee, extents) = (UnsafeRawPointer(bytes.baseAddress), Int32(LVO_UINT8), shape)
        }
        rank.pointee = Int32(extents.count)
        for (axis, extent) in extents.enumerated() { shape[axis] = Int64(extent) }
    }
}

@c @implementation
public func lvo_result_free(_ result: OpaquePointer?) { ResultBox.free(result) }
