// Weights lie in memory once, as column panels [k][panelWidth] in the precision of their file. These kernels bring a
// piece of a panel into the float32 scratch that the register tile reads: as it is for the forward product, transposed
// for the gradient, so that neither direction needs a copy of its own.

import CPrefetch

/// `GemmKernels.prefetch`.
func gemmPrefetch(_ address: UnsafeRawPointer, _ byteCount: Int) {
    var offset = 0
    while offset < byteCount {
        prefetch_line(address + offset)
        offset += 64
    }
}

/// `GemmKernels.widen`.
func gemmWiden(_ half: UnsafePointer<UInt16>, _ count: Int, _ out: UnsafeMutablePointer<Float>) {
    var i = 0
    while i + lanes <= count {
        out.store(widened(half + i), i)
        i += lanes
    }
    while i < count {
        out[i] = widened(half[i])
        i += 1
    }
}

#if LVO_AVX2 || LVO_AVX512 || arch(arm64)
@inline(__always) func widened(_ half: UnsafePointer<UInt16>) -> Vec {
    let values = UnsafeRawPointer(half).loadUnaligned(as: HalfVec.self)
    var result = Vec.zero
    for lane in 0..<lanes { result[lane] = Float(values[lane]) }
    return result
}

@inline(__always) func widened(_ half: UInt16) -> Float { Float(Float16(bitPattern: half)) }
#else
// SSE has no conversion from half precision, and the library routine it would call takes one number at a time. The
// exponent and fraction move to their places in float32 and a multiplication by 2¹¹² corrects the exponent's bias,
// subnormals included; infinity and NaN get their exponent back by an OR.
@inline(__always) func widened(_ half: UnsafePointer<UInt16>) -> Vec {
    let bits = SIMD4<UInt32>(truncatingIfNeeded: UnsafeRawPointer(half).loadUnaligned(as: HalfBits.self))
    let magnitude = bits & 0x7FFF
    let scaled = unsafeBitCast(magnitude &<< 13, to: Vec.self) * Float(bitPattern: 0x7780_0000)
    let special = SIMD4<UInt32>(repeating: 0x7F80_0000).replacing(with: 0, where: magnitude .< 0x7C00)
    let sign = (bits & 0x8000) &<< 16
    return unsafeBitCast(unsafeBitCast(scaled, to: SIMD4<UInt32>.self) | special | sign, to: Vec.self)
}

@inline(__always) func widened(_ half: UInt16) -> Float {
    let magnitude = UInt32(half) & 0x7FFF
    let scaled = (Float(bitPattern: magnitude << 13) * Float(bitPattern: 0x7780_0000)).bitPattern
    let special: UInt32 = magnitude < 0x7C00 ? 0 : 0x7F80_0000
    return Float(bitPattern: scaled | special | (UInt32(half) & 0x8000) << 16)
}
#endif

/// `GemmKernels.transposePanel`.
func gemmTransposePanel(_ source: UnsafePointer<Float>, _ rows: Int, _ out: UnsafeMutablePointer<Float>) {
    transposePanel(rows, out) { row, column in (source + row * panelWidth).vec(column) }
}

/// `GemmKernels.transposePanelHalf`.
func gemmTransposePanelHalf(_ source: UnsafePointer<UInt16>, _ rows: Int, _ out: UnsafeMutablePointer<Float>) {
    transposePanel(rows, out) { row, column in widened(source + row * panelWidth + column) }
}

@inline(__always) func transposePanel(
    _ rows: Int, _ out: UnsafeMutablePointer<Float>, _ load: (_ row: Int, _ column: Int) -> Vec
) {
    var row = 0
    while row < panelWidth {
        var column = 0
        while column < panelWidth {
            let target = out + column * panelWidth + row
            transposeSquare(
                { row + $0 < rows ? load(row + $0, column) : Vec.zero },
                { target.store($1, $0 * panelWidth) })
            column += lanes
        }
        row += lanes
    }
}
