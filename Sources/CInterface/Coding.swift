import CLVO
import Ops
import SparseAutoencoders
import Tensors

/// Rows that go through an autoencoder some at a time.
struct Rows {
    let source: UnsafePointer<Float>
    let count: Int
    let width: Int
    let name: String

    init(_ pointer: UnsafePointer<Float>?, _ shape: UnsafePointer<Int64>?, width: Int, _ name: String) throws {
        let shape = try Argument.shape(shape, axes: 2, name, "[n, \(width)]")
        guard shape[1] == width else { throw Refusal("\(name): expected [n, \(width)], found \(shape)") }
        try self.init(pointer, count: shape[0], width: width, name)
    }

    init(_ pointer: UnsafePointer<Float>?, count: Int, width: Int, _ name: String) throws {
        (source, self.count, self.width, self.name) = (try Argument.floats(pointer, name), count, width, name)
    }

    /// Comes after all that can be said without reading them.
    func checkFinite() throws { try Argument.checkFinite(source, [count, width], name) }

    /// A part as a tensor `[rows, width]`.
    func tensor(_ range: Range<Int>, _ engine: Engine) -> Tensor {
        let tensor = Tensor([range.count, width], in: engine.workspace)
        tensor.pointer.update(from: source + range.lowerBound * width, count: tensor.count)
        return tensor
    }
}

extension OpenAutoencoder {
    /// Some rows after the other.
    fileprivate func parts(_ count: Int, _ turn: Turn, _ body: (Range<Int>) throws -> Void) throws {
        for first in stride(from: 0, to: count, by: rowsAtOnce) {
            try turn.check()
            try body(first..<min(count, first + rowsAtOnce))
        }
    }

    /// The input of what is decoded, for the autoencoders that need it.
    fileprivate func input(_ x: UnsafePointer<Float>?, count: Int) throws -> Rows? {
        guard autoencoder.configuration.inputUnitNorm else { return nil }
        guard x != nil else { throw Refusal("x: this autoencoder normalises its input, so decoding needs it; found NULL") }
        return try Rows(x, count: count, width: autoencoder.inputWidth, "x")
    }

    /// Decodes entries of some rows into the caller's memory.
    fileprivate func decode(
        _ entries: [(token: Int, feature: Int, value: Float)], _ range: Range<Int>, of x: Rows?,
        to out: UnsafeMutablePointer<Float>
    ) {
        let width = autoencoder.inputWidth
        let codes = SparseCodes(entries, tokens: range.count, numLatents: autoencoder.numLatents, engine: engine)
        let input = x?.tensor(range, engine) ?? Tensor([range.count, width], in: engine.workspace)
        let result = autoencoder.decode(codes, of: input, engine: engine)
        (out + range.lowerBound * width).update(from: result.pointer, count: result.count)
    }
}

@c @implementation
public func lvo_sae_encode(
    _ sae: OpaquePointer?, _ x: UnsafePointer<Float>?, _ x_shape: UnsafePointer<Int64>?, _ selected: Int32,
    _ features: UnsafeMutablePointer<Float>?, _ features_count: Int64, _ error: UnsafeMutablePointer<lvo_error>?
) -> Int32 {
    report(to: error) {
        guard (0...1).contains(selected) else { throw Refusal("selected: expected 0 or 1, found \(selected)") }
        try AutoencoderBox.of(sae).take { sae, turn in
            let latents = sae.autoencoder.numLatents
            let rows = try Rows(x, x_shape, width: sae.autoencoder.inputWidth, "x")
            let out = try Argument.output(
                features, count: features_count, expected: [rows.count, latents], "features")
            try rows.checkFinite()
            try sae.parts(rows.count, turn) { range in
                let (part, target) = (rows.tensor(range, sae.engine), out + range.lowerBound * latents)
                if selected == 0 {
                    let values = sae.encoder.preActivations(part)
                    return target.update(from: values.pointer, count: values.count)
                }
                let codes = sae.autoencoder.encode(part, engine: sae.engine)
                target.update(repeating: 0, count: range.count * latents)
                for row in 0..<range.count {
                    for (feature, value) in codes.entries(of: row) { target[row * latents + feature] = value }
                }
            }
        }
    }
}

@c @implementation
public func lvo_sae_encode_top(
    _ sae: OpaquePointer?, _ x: UnsafePointer<Float>?, _ x_shape: UnsafePointer<Int64>?, _ k: Int64,
    _ indices: UnsafeMutablePointer<Int32>?, _ values: UnsafeMutablePointer<Float>?, _ count: Int64,
    _ error: UnsafeMutablePointer<lvo_error>?
) -> Int32 {
    report(to: error) {
        try AutoencoderBox.of(sae).take { sae, turn in
            let latents = sae.autoencoder.numLatents
            guard (1...Int64(latents)).contains(k) else { throw Refusal("k: expected 1 to \(latents), found \(k)") }
            let rows = try Rows(x, x_shape, width: sae.autoencoder.inputWidth, "x")
            let shape = [rows.count, Int(k)]
            let places = try Argument.output(indices, count: count, expected: shape, "indices")
            let numbers = try Argument.output(values, count: count, expected: shape, "values")
            try rows.checkFinite()
            try sae.parts(rows.count, turn) { range in
                let codes = sae.autoencoder.encode(rows.tensor(range, sae.engine), engine: sae.engine)
                for row in range {
                    let largest = codes.entries(of: row - range.lowerBound).sorted { $0.value > $1.value }
                    for place in 0..<Int(k) {
                        let entry = place < largest.count ? largest[place] : (feature: -1, value: 0)
                        (places[row * Int(k) + place], numbers[row * Int(k) + place]) = (Int32(entry.feature), entry.value)
                    }
                }
            }
        }
    }
}

@c @implementation
public func lvo_sae_decode(
    _ sae: OpaquePointer?, _ features: UnsafePointer<Float>?, _ features_shape: UnsafePointer<Int64>?,
    _ x: UnsafePointer<Float>?, _ out: UnsafeMutablePointer<Float>?, _ out_count: Int64,
    _ error: UnsafeMutablePointer<lvo_error>?
) -> Int32 {
    report(to: error) {
        try AutoencoderBox.of(sae).take { sae, turn in
            let (width, latents) = (sae.autoencoder.inputWidth, sae.autoencoder.numLatents)
            let rows = try Rows(features, features_shape, width: latents, "features")
            let input = try sae.input(x, count: rows.count)
            let target = try Argument.output(out, count: out_count, expected: [rows.count, width], "out")
            try rows.checkFinite()
            try input?.checkFinite()
            try sae.parts(rows.count, turn) { range in
                var entries: [(token: Int, feature: Int, value: Float)] = []
                for row in range {
                    for feature in 0..<latents where rows.source[row * latents + feature] != 0 {
                        entries.append((row - range.lowerBound, feature, rows.source[row * latents + feature]))
                    }
                }
                sae.decode(entries, range, of: input, to: target)
            }
        }
    }
}

@c @implementation
public func lvo_sae_decode_top(
    _ sae: OpaquePointer?, _ indices: UnsafePointer<Int32>?, _ values: UnsafePointer<Float>?,
    _ shape: UnsafePointer<Int64>?, _ x: UnsafePointer<Float>?, _ out: UnsafeMutablePointer<Float>?, _ out_count: Int64,
    _ error: UnsafeMutablePointer<lvo_error>?
) -> Int32 {
    report(to: error) {
        try AutoencoderBox.of(sae).take { sae, turn in
            let (width, latents) = (sae.autoencoder.inputWidth, sae.autoencoder.numLatents)
            let extents = try Argument.shape(shape, axes: 2, "shape", "[n, k]")
            guard extents[1] <= latents else {
                throw Refusal("shape: expected [n, k] with k up to \(latents), found \(extents)")
            }
            guard let indices else { throw Refusal("indices: expected an array, found NULL") }
            let rows = try Rows(values, count: extents[0], width: extents[1], "values")
            let input = try sae.input(x, count: rows.count)
            let target = try Argument.output(out, count: out_count, expected: [rows.count, width], "out")
            try rows.checkFinite()
            try input?.checkFinite()
            for place in 0..<extents[0] * extents[1] where !(-1..<latents).contains(Int(indices[place])) {
                throw Refusal("indices: expected -1 to \(latents - 1), found \(indices[place])")
            }
            try sae.parts(rows.count, turn) { range in
                let places = range.lowerBound * rows.width..<range.upperBound * rows.width
                let entries = places.filter { indices[$0] >= 0 }.map { place in
                    (token: place / rows.width - range.lowerBound, feature: Int(indices[place]), value: rows.source[place])
                }
                sae.decode(entries, range, of: input, to: target)
            }
        }
    }
}
