import Tensors

extension Weight {
    /// Hands the elements to `sink` as `target`, in pieces of at most 256 KB, or whole when nothing changes.
    package func write(as target: DType, into sink: SafetensorsWriter.Sink) throws {
        if target == dtype {
            if !bytes.isEmpty { try sink(bytes) }
            return
        }
        let piece = 1 << 16
        for start in stride(from: 0, to: count, by: piece) {
            let part = slice(start..<min(count, start + piece)).floats()
            try part.withUnsafeBufferPointer { floats in
                try FloatCoding.encode(floats, as: target) { try sink($0) }
            }
        }
    }

    /// Elements `range` in row-major order, as a vector.
    ///
    /// - Precondition: its ends are multiples of `dtype.blockLength`.
    func slice(_ range: Range<Int>) -> Weight {
        let part = UnsafeRawBufferPointer(
            rebasing: bytes[dtype.byteCount(range.lowerBound)..<dtype.byteCount(range.upperBound)])
        return Weight(name: name, shape: [range.count], dtype: dtype, bytes: part, owner: owner)
    }

    /// The elements as float32 in a tensor of their own.
    public func tensor() -> Tensor {
        let tensor = Tensor(shape)
        copyFloats(into: tensor.pointer)
        return tensor
    }
}

/// Float32 to the formats weights are stored in, rounding to nearest even.
enum FloatCoding {
    static func encode(
        _ floats: UnsafeBufferPointer<Float>, as dtype: DType, _ body: (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        func encoded<T>(_ convert: (Float) -> T) throws {
            let values = floats.map(convert)
            try values.withUnsafeBytes { try body($0) }
        }
        switch dtype {
        case .f32: try body(UnsafeRawBufferPointer(floats))
        case .f16: try encoded(half)
        case .bf16: try encoded(bfloat)
        case .f64: try encoded { Double($0) }
        default: preconditionFailure("weights are not written as \(dtype.rawValue)")
        }
    }

    /// The bits of the nearest half-precision number. Written out because without F16C the compiler calls a library
    /// function per element.
    @inline(__always)
    static func half(_ value: Float) -> UInt16 {
        let bits = value.bitPattern
        let sign = UInt16(truncatingIfNeeded: (bits >> 16) & 0x8000)
        let magnitude = bits & 0x7FFF_FFFF
        if magnitude >= 0x4780_0000 {  // 65536 and more, infinities, NaN
            return sign | (magnitude > 0x7F80_0000 ? 0x7E00 : 0x7C00)
        }
        if magnitude < 0x3880_0000 {  // below 2^-14: adding 0.5 puts the subnormal's bits, rounded, at the low end
            let shifted = Float(bitPattern: magnitude) + 0.5
            return sign | UInt16(truncatingIfNeeded: shifted.bitPattern &- 0x3F00_0000)
        }
        let odd = (magnitude >> 13) & 1
        return sign | UInt16(truncatingIfNeeded: (magnitude &- 0x3800_0000 &+ 0xFFF &+ odd) >> 13)
    }

    /// The upper half of the float's bits, rounded; NaN stays NaN.
    @inline(__always)
    static func bfloat(_ value: Float) -> UInt16 {
        let bits = value.bitPattern
        if value.isNaN { return UInt16(truncatingIfNeeded: bits >> 16) | 0x40 }
        return UInt16(truncatingIfNeeded: (bits &+ 0x7FFF &+ ((bits >> 16) & 1)) >> 16)
    }
}
