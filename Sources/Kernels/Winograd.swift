/// `WinogradKernels.filter` and `.filterHalf`: the weights' transform is cheap enough (some 80 vector operations for 16
/// filters, where the products take 18 cycles a tile) to be done anew for every group of tiles, straight from the packed
/// weights. Kept in memory, in float32, the transformed weights would be 4 times the float32 ones, 8 times the half ones.
@inline(__always) func winogradFilter<S: WinogradScheme>(
    _: S.Type, _ depth: Int, _ out: UnsafeMutablePointer<Float>, _ elementStride: Int,
    _ load: (_ tap: Int, _ index: Int) -> Vec
) {
    var index = 0
    while index < depth * panelWidth {
        S.filter({ load($0, index) }, { out.store($1, $0 * elementStride + index) })
        index += lanes
    }
}

/// `WinogradKernels.input`.
@inline(__always) func winogradInput<S: WinogradScheme>(
    _: S.Type, _ x: UnsafePointer<Float>, _ offsets: UnsafePointer<Int>, _ tiles: Int, _ depth: Int,
    _ scratch: UnsafeMutablePointer<Float>, _ out: UnsafeMutablePointer<Float>, _ elementStride: Int
) {
    let transformed = scratch + S.elements * lanes
    var k = 0
    while k < depth {
        for tile in 0..<tiles {
            transformTile(
                S.self, x + k, offsets + tile * S.elements, scratch, transformed + tile * lanes, tileRows * lanes)
        }
        for element in 0..<S.elements {
            let source = transformed + element * tileRows * lanes
            let target = out + element * elementStride + k * tileRows
            var first = 0
            while first < tileRows {
                transposeSquare(
                    { first + $0 < tiles ? source.vec((first + $0) * lanes) : Vec.zero },
                    { storePrefix($1, target + $0 * tileRows + first, tileRows - first) })
                first += lanes
            }
        }
        k += lanes
    }
}

/// `Bᵀ d B` of one vector of channels: element e to `out + e · outStride`. `gathered` has room for the pixels.
@inline(__always) func transformTile<S: WinogradScheme>(
    _: S.Type, _ x: UnsafePointer<Float>, _ offsets: UnsafePointer<Int>, _ gathered: UnsafeMutablePointer<Float>,
    _ out: UnsafeMutablePointer<Float>, _ outStride: Int
) {
    for element in 0..<S.elements {
        let offset = offsets[element]
        gathered.store(offset >= 0 ? (x + offset).vec(0) : Vec.zero, element * lanes)
    }
    for column in 0..<S.points {
        S.input(gathered + column * lanes, S.points * lanes, gathered + column * lanes, S.points * lanes)
    }
    for row in 0..<S.points {
        S.input(gathered + row * S.points * lanes, lanes, out + row * S.points * outStride, outStride)
    }
}

/// `WinogradKernels.output`.
@inline(__always) func winogradOutput<S: WinogradScheme>(
    _: S.Type, _ products: UnsafePointer<Float>, _ elementStride: Int, _ columns: Int,
    _ y: UnsafeMutablePointer<Float>, _ offsets: UnsafePointer<Int>, _ bias: UnsafePointer<Float>?,
    _ sampleBias: UnsafePointer<Float>?, _ residual: UnsafePointer<Float>?
) {
    let points = S.points, size = S.outputSize
    // A fixed array and not `withUnsafeTemporaryAllocation`, which beyond 1024 bytes asks the runtime, or the heap, per tile.
    var memory = InlineArray<40, Vec>(repeating: .zero)
    withUnsafeMutableBytes(of: &memory) { memory in
        let half = memory.baseAddress!.assumingMemoryBound(to: Float.self)
        let pixels = half + points * size * lanes
        var column = 0
        while column < columns {
            for j in 0..<points {
                S.output(
                    products + j * elementStride + column, points * elementStride, half + j * lanes, points * lanes)
            }
            for i in 0..<size {
                S.output(half + i * points * lanes, lanes, pixels + i * size * lanes, lanes)
            }
            var shift = Vec.zero
            if let bias { shift += bias.vec(column) }
            if let sampleBias { shift += sampleBias.vec(column) }
            for pixel in 0..<size * size where offsets[pixel] >= 0 {
                var value = pixels.vec(pixel * lanes)
                if let residual { value += (residual + offsets[pixel]).vec(column) }
                (y + offsets[pixel]).store(value + shift, column)
            }
            column += lanes
        }
    }
}
