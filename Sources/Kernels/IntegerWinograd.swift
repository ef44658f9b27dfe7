// F(4×4, 3×3) on pairs of 16-bit integers (`IntegerWinogradKernels`): the transforms are float32's, their results are
// scaled and rounded on their way into words.
import KernelInterface

func makeIntegerWinograd() -> IntegerWinogradKernels {
    IntegerWinogradKernels(
        filter: integerWinogradFilter, input: integerWinogradInput, multiply: integerMultiply,
        output: { winogradOutput(UnitWinograd4.self, $0, $1, $2, $3, $4, $5, $6, $7) })
}

/// The Euclidean length that rows and columns are scaled to.
@inline(always) private var longest: Float { 32767 }

/// Shorter rows and columns count as zeros: their squares would be subnormal, and the length too short.
@inline(always) private var shortest: Float { 1e-19 }

/// `numbers · factor` to the nearest integers, in the low 16 bits of each lane (`roundingShift`).
@inline(always) private func integers(_ numbers: Vec, _ factor: Vec) -> PairVec {
    unsafeBitCast(multiplyAdd(numbers, factor, Vec(repeating: roundingShift)), to: PairVec.self)
}

/// `IntegerWinogradKernels.filter`.
func integerWinogradFilter(
    _ taps: UnsafePointer<UInt32>, _ tapStride: Int, _ depth: Int, _ out: UnsafeMutablePointer<UInt32>,
    _ elementStride: Int
) {
    let pairs = depth / 2
    let (left, right) = columnLengths(taps, tapStride, pairs)
    filterColumns(taps, tapStride, pairs, left, out, elementStride)
    filterColumns(taps + lanes, tapStride, pairs, right, out + lanes, elementStride)
}

/// Euclidean lengths of a panel's columns, all nine taps together.
@inline(always) private func columnLengths(
    _ taps: UnsafePointer<UInt32>, _ tapStride: Int, _ pairs: Int
) -> (left: Vec, right: Vec) {
    var left = Vec.zero, leftHigh = Vec.zero, right = Vec.zero, rightHigh = Vec.zero
    for tap in 0..<9 {
        for pair in 0..<pairs {
            let row = taps + tap * tapStride + pair * panelWidth
            let (a, b) = (UInt32.vector(row), UInt32.vector(row + lanes))
            left = multiplyAdd(lowHalves(a), lowHalves(a), left)
            leftHigh = multiplyAdd(highHalves(a), highHalves(a), leftHigh)
            right = multiplyAdd(lowHalves(b), lowHalves(b), right)
            rightHigh = multiplyAdd(highHalves(b), highHalves(b), rightHigh)
        }
    }
    return ((left + leftHigh).squareRoot(), (right + rightHigh).squareRoot())
}

/// The filters of one vector of outputs, whose lengths are given.
@inline(always) private func filterColumns(
    _ taps: UnsafePointer<UInt32>, _ tapStride: Int, _ pairs: Int, _ lengths: Vec, _ out: UnsafeMutablePointer<UInt32>,
    _ elementStride: Int
) {
    let factors = (longest / lengths).replacing(with: 0, where: lengths .< shortest)
    for pair in 0..<pairs {
        let (source, target) = (taps + pair * panelWidth, out + pair * panelWidth)
        UnitWinograd4.filter(
            { lowHalves(UInt32.vector(source + $0 * tapStride)) },
            { element, low in (target + element * elementStride).store(integers(low, factors) & 0xFFFF) })
        UnitWinograd4.filter(
            { highHalves(UInt32.vector(source + $0 * tapStride)) },
            { element, high in
                let words = target + element * elementStride
                words.store(UInt32.vector(words) | integers(high, factors) &<< 16)
            })
    }
    let scales = unsafeBitCast(lengths / longest, to: PairVec.self)
    for element in 0..<UnitWinograd4.elements { (out + element * elementStride + pairs * panelWidth).store(scales) }
}

/// `IntegerWinogradKernels.input`: first the numbers of all channels, `[element][tile][k]`, then their words.
func integerWinogradInput(
    _ x: UnsafePointer<Float>, _ offsets: UnsafePointer<Int>, _ tiles: Int, _ depth: Int,
    _ scratch: UnsafeMutablePointer<Float>, _ out: UnsafeMutablePointer<UInt32>, _ elementStride: Int
) {
    let elements = UnitWinograd4.elements
    let numbers = scratch + elements * lanes
    // A vector between elements, so that 36 streams are not multiples of 2 KB apart.
    let stride = tileRows * depth + lanes
    for tile in 0..<tiles {
        var k = 0
        while k < depth {
            transformTile(
                UnitWinograd4.self, x + k, offsets + tile * elements, scratch, numbers + tile * depth + k, stride)
            k += lanes
        }
    }
    for element in 0..<elements { packIntegers(numbers + element * stride, tiles, depth, out + element * elementStride) }
}

/// `tiles` rows of `depth` numbers, scaled and rounded, as a row tile; the rows are overwritten.
private func packIntegers(
    _ rows: UnsafeMutablePointer<Float>, _ tiles: Int, _ depth: Int, _ out: UnsafeMutablePointer<UInt32>
) {
    let pairs = depth / 2
    let target = UnsafeMutableRawPointer(out).assumingMemoryBound(to: Float.self)
    for tile in 0..<tileRows {
        target[pairs * tileRows + tile] = tile < tiles ? roundToWords(rows + tile * depth, depth) : 0
    }
    var first = 0
    while first < tileRows {
        var word = 0
        while word < pairs {
            transposeSquare(
                { first + $0 < tiles ? rows.vec((first + $0) * depth + word) : Vec.zero },
                { storePrefix($1, target + (word + $0) * tileRows + first, tileRows - first) })
            word += lanes
        }
        first += lanes
    }
}

/// Replaces a row of `depth` numbers by `depth/2` words. Returns the scale.
@inline(always) private func roundToWords(_ row: UnsafeMutablePointer<Float>, _ depth: Int) -> Float {
    var squares = (Vec.zero, Vec.zero), k = 0
    while k < depth {
        squares.0 = multiplyAdd(row.vec(k), row.vec(k), squares.0)
        squares.1 = multiplyAdd(row.vec(k + lanes), row.vec(k + lanes), squares.1)
        k += 2 * lanes
    }
    let length = horizontalSum(squares.0 + squares.1).squareRoot()
    let factor = Vec(repeating: length < shortest ? 0 : longest / length)
    let words = UnsafeMutableRawPointer(row).assumingMemoryBound(to: UInt32.self)
    k = 0
    while k < depth {
        (words + k / 2).store(neighbours(integers(row.vec(k), factor), integers(row.vec(k + lanes), factor)))
        k += 2 * lanes
    }
    return length / longest
}
