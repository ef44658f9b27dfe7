/// Floating-point numbers of eight bits (Micikevicius et al. 2022, "FP8 formats for deep learning").
enum Float8 {
    /// `float8_e4m3fn`: all exponents are finite numbers but for the two NaNs 0x7F, 0xFF.
    static func e4m3(_ bits: UInt8) -> Float {
        let sign = UInt32(bits & 0x80) << 24
        let magnitude = UInt32(bits & 0x7F)
        if magnitude == 0x7F { return Float(bitPattern: sign | 0x7FC0_0000) }
        // Exponent and mantissa put into a float's place are too small by 2^(127 − 7); exact, subnormals included.
        let value = Float(bitPattern: magnitude << 20) * 0x1p120
        return Float(bitPattern: sign | value.bitPattern)
    }
}

/// GGML's quantized kinds: blocks of 32 numbers with a half-precision scale d, and for `…_1` a minimum m. Four-bit
/// numbers j and j + 16 share a byte, the first in its low half; fifth bits are in a word of their own.
/// (`ggml-quants.c`, `dequantize_row_q8_0` and its kin.)
enum QuantizedBlock {
    static let length = 32

    static func decode(_ bytes: UnsafeRawBufferPointer, _ dtype: DType, into target: UnsafeMutablePointer<Float>) {
        for block in 0..<bytes.count / dtype.byteWidth {
            let start = block * dtype.byteWidth
            let part = UnsafeRawBufferPointer(rebasing: bytes[start..<start + dtype.byteWidth])
            decodeBlock(part, dtype, into: target + block * length)
        }
    }

    private static func decodeBlock(
        _ block: UnsafeRawBufferPointer, _ dtype: DType, into target: UnsafeMutablePointer<Float>
    ) {
        func half(_ offset: Int) -> Float {
            Float(Float16(bitPattern: block.loadUnaligned(fromByteOffset: offset, as: UInt16.self)))
        }
        let scale = half(0)
        if dtype == .q8_0 {
            for j in 0..<length { target[j] = scale * Float(Int8(bitPattern: block[2 + j])) }
            return
        }
        let hasMinimum = dtype == .q4_1 || dtype == .q5_1
        let hasFifthBit = dtype == .q5_0 || dtype == .q5_1
        let minimum = hasMinimum ? half(2) : 0
        let zero = hasMinimum ? 0 : hasFifthBit ? 16 : 8
        let bits = hasFifthBit ? block.loadUnaligned(fromByteOffset: hasMinimum ? 4 : 2, as: UInt32.self) : 0
        let nibbles = dtype.byteWidth - length / 2
        for j in 0..<length {
            let byte = Int(block[nibbles + j % 16])
            let fifth = Int(bits >> UInt32(j) & 1) << 4
            let value = (j < 16 ? byte & 15 : byte >> 4) | fifth
            target[j] = Float(value - zero) * scale + minimum
        }
    }
}
