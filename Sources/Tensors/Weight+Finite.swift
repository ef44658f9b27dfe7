extension Weight {
    /// The first element that is NaN or infinite in single precision, with its index in row-major order; nil if all are
    /// finite, as whole numbers always are.
    public var firstNotFinite: (index: Int, value: Float)? {
        guard defect == nil else { return nil }
        let found: Int? =
            switch dtype {
            case .f32: firstIndex(exponent: 0x7F80_0000 as UInt32)
            case .f16: firstIndex(exponent: 0x7C00 as UInt16)
            case .bf16: firstIndex(exponent: 0x7F80 as UInt16)
            case .i64, .i32, .i16, .i8, .u64, .u32, .u16, .u8, .bool: nil
            // Eight-bit floats and quantized blocks are rare, and their bits tell it less simply; 64 bits may hold what 32
            // cannot.
            default: floats().firstIndex { !$0.isFinite }
            }
        return found.map { ($0, floats()[$0]) }
    }

    /// The first element whose exponent has every bit set. Blocks are searched by a maximum over the masked bits, which
    /// compiles to vector instructions; only a block that has one is looked at twice.
    private func firstIndex<Bits: FixedWidthInteger & UnsignedInteger & Sendable>(exponent: Bits) -> Int? {
        guard let start = bytes.baseAddress else { return nil }
        let block = 4096
        for first in stride(from: 0, to: count, by: block) {
            let end = min(count, first + block)
            var largest: Bits = 0
            for i in first..<end {
                largest = max(largest, start.loadUnaligned(fromByteOffset: i &* (Bits.bitWidth / 8), as: Bits.self) & exponent)
            }
            guard largest == exponent else { continue }
            return (first..<end).first {
                start.loadUnaligned(fromByteOffset: $0 &* (Bits.bitWidth / 8), as: Bits.self) & exponent == exponent
            }
        }
        return nil
    }
}
