// The tile instructions of AMX in Swift, under the names that `CInstructions` gives them: for a build of the kernels that
// tests run on any CPU. As documented by Intel and as Bochs computes it (cpu/avx/amx.cc):
//   TDPBF16PS adds the products of even k and those of odd k in two chains of fused multiply-adds from 0, adds the second
//   sum to the first and the result to the tile; all to nearest even, subnormal operands and results being zero.
// What a CPU would refuse (no configuration, a wrong one, shapes that do not fit together) makes all that is stored until
// the next configuration NaN.
#if LVO_AMX_MODEL
import CInstructions

/// Tiles, and after them the words of the configuration and whether an instruction was refused, of the calling thread.
private struct TileState {
    let words: UnsafeMutablePointer<UInt32>

    /// Not inlined: every object file that calls `tile_model_words` has words of its own.
    static var current: TileState { @inline(never) get { TileState(words: tile_model_words()) } }

    func row(_ tile: Int, _ row: Int) -> UnsafeMutablePointer<UInt32> { words + (tile * 16 + row) * 16 }
    var configuration: UnsafeMutableRawPointer { UnsafeMutableRawPointer(words + 8 * 256) }
    var isRefused: Bool {
        get { words[8 * 256 + 16] != 0 }
        nonmutating set { words[8 * 256 + 16] = newValue ? 1 : 0 }
    }

    /// Rows and bytes per row of a tile; nothing without a configuration.
    func shape(_ tile: Int) -> (rows: Int, bytes: Int) {
        guard configuration.load(as: UInt8.self) == 1 else { return (0, 0) }
        let bytes = configuration.load(fromByteOffset: 16 + 2 * tile, as: UInt16.self)
        return (Int(configuration.load(fromByteOffset: 48 + tile, as: UInt8.self)), Int(bytes))
    }

    /// The shape of a tile that an instruction names; none, and the instruction refused, if it has none.
    func usedShape(_ tile: Int) -> (rows: Int, bytes: Int) {
        let shape = shape(tile)
        if shape.rows == 0 { isRefused = true }
        return isRefused ? (0, 0) : shape
    }

    func zero(_ tile: Int) { row(tile, 0).update(repeating: 0, count: 256) }
}

/// LDTILECFG of any 64 bytes.
package func tile_configure(_ bytes: UnsafeRawBufferPointer) {
    let state = TileState.current
    for tile in 0..<8 { state.zero(tile) }
    state.configuration.copyMemory(from: bytes.baseAddress!, byteCount: 64)
    let reserved = [1..<16, 32..<48, 56..<64].joined().contains { bytes[$0] != 0 }
    let fits = (0..<8).allSatisfy {
        let shape = state.shape($0)
        return shape.rows <= 16 && shape.bytes <= 64 && (shape.rows == 0) == (shape.bytes == 0)
    }
    state.isRefused = bytes[0] != 1 || reserved || !fits
}

package func tile_configure() {
    withUnsafeBytes(of: tile_configuration) { tile_configure($0) }
}

package func tile_release() {
    TileState.current.configuration.storeBytes(of: 0, as: UInt8.self)
}

private func load(_ tile: Int, _ rows: UnsafeRawPointer, _ stride: Int) {
    let state = TileState.current
    state.zero(tile)
    let shape = state.usedShape(tile)
    for row in 0..<shape.rows {
        UnsafeMutableRawPointer(state.row(tile, row)).copyMemory(from: rows + row * stride, byteCount: shape.bytes)
    }
}

private func store(_ tile: Int, _ rows: UnsafeMutableRawPointer, _ stride: Int) {
    let state = TileState.current
    var shape = state.usedShape(tile)
    if state.isRefused {
        for row in 0..<16 { state.row(tile, row).update(repeating: Float.nan.bitPattern, count: 16) }
        shape = (16, 64)
    }
    for row in 0..<shape.rows {
        (rows + row * stride).copyMemory(from: state.row(tile, row), byteCount: shape.bytes)
    }
}

private func zero(_ tile: Int) {
    let state = TileState.current
    _ = state.usedShape(tile)
    state.zero(tile)
}

private func dot(_ sums: Int, _ a: Int, _ b: Int) {
    let state = TileState.current
    let (c, left, right) = (state.usedShape(sums), state.usedShape(a), state.usedShape(b))
    guard c.rows == left.rows, left.bytes == 4 * right.rows, c.bytes == right.bytes, c.bytes % 4 == 0 else {
        state.isRefused = true
        return
    }
    for row in 0..<c.rows {
        var even = Vec.zero, odd = Vec.zero
        for pair in 0..<right.rows {
            let (x, y) = (PairVec(repeating: state.row(a, row)[pair]), UInt32.vector(state.row(b, pair)))
            even = flushed(even.addingProduct(flushed(lowHalves(x)), flushed(lowHalves(y))))
            odd = flushed(odd.addingProduct(flushed(highHalves(x)), flushed(highHalves(y))))
        }
        let target = UnsafeMutableRawPointer(state.row(sums, row)).assumingMemoryBound(to: Float.self)
        target.store(flushed(flushed(target.vec(0)) + flushed(even + odd)), 0)
    }
}

/// Subnormal numbers become zeros of their sign.
private func flushed(_ numbers: Vec) -> Vec {
    let bits = unsafeBitCast(numbers, to: PairVec.self)
    return unsafeBitCast(
        bits.replacing(with: bits & 0x8000_0000, where: bits & 0x7FFF_FFFF .< 0x80_0000), to: Vec.self)
}

package func tile_load_0(_ rows: UnsafeRawPointer, _ stride: Int) { load(0, rows, stride) }
package func tile_load_1(_ rows: UnsafeRawPointer, _ stride: Int) { load(1, rows, stride) }
package func tile_load_2(_ rows: UnsafeRawPointer, _ stride: Int) { load(2, rows, stride) }
package func tile_load_3(_ rows: UnsafeRawPointer, _ stride: Int) { load(3, rows, stride) }
package func tile_load_4(_ rows: UnsafeRawPointer, _ stride: Int) { load(4, rows, stride) }
package func tile_load_5(_ rows: UnsafeRawPointer, _ stride: Int) { load(5, rows, stride) }
package func tile_load_6(_ rows: UnsafeRawPointer, _ stride: Int) { load(6, rows, stride) }
package func tile_load_7(_ rows: UnsafeRawPointer, _ stride: Int) { load(7, rows, stride) }
package func tile_store_0(_ rows: UnsafeMutableRawPointer, _ stride: Int) { store(0, rows, stride) }
package func tile_store_1(_ rows: UnsafeMutableRawPointer, _ stride: Int) { store(1, rows, stride) }
package func tile_store_2(_ rows: UnsafeMutableRawPointer, _ stride: Int) { store(2, rows, stride) }
package func tile_store_3(_ rows: UnsafeMutableRawPointer, _ stride: Int) { store(3, rows, stride) }
package func tile_zero_0() { zero(0) }
package func tile_zero_1() { zero(1) }
package func tile_zero_2() { zero(2) }
package func tile_zero_3() { zero(3) }
package func tile_dot_0_4_6() { dot(0, 4, 6) }
package func tile_dot_1_4_7() { dot(1, 4, 7) }
package func tile_dot_2_5_6() { dot(2, 5, 6) }
package func tile_dot_3_5_7() { dot(3, 5, 7) }
#endif
