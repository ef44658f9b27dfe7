import KernelInterface
import ReferenceKernels
import TestSupport
import Testing

@Suite struct IntegerWinogradKernelTests {
    private static let elements = IntegerWinogradKernels.elements
    private static let longest = 32767.0

    /// Words in guarded memory.
    private static func words(_ buffer: GuardedBuffer) -> UnsafeMutablePointer<UInt32> {
        UnsafeMutableRawPointer(buffer.pointer).assumingMemoryBound(to: UInt32.self)
    }

    /// The two integers of a word.
    private static func integers(_ word: UInt32) -> [Int] {
        [Int(Int16(truncatingIfNeeded: word)), Int(Int16(truncatingIfNeeded: word >> 16))]
    }

    /// Number k of column `column` of packed rows of `width` words.
    private static func integer(_ words: [UInt32], _ k: Int, _ column: Int, _ width: Int) -> Int {
        integers(words[k / 2 * width + column])[k % 2]
    }

    /// Expects packed words to be `numbers` (`[depth][width]`), column by column scaled to at most the longest length, rounded
    /// to the nearest, and behind them the scales.
    /// - Parameter lengths: what columns are divided by; never less than the column's own length.
    private func expect(
        _ words: [UInt32], holds numbers: [Double], lengths: [Double], depth: Int, _ name: String
    ) {
        let width = lengths.count
        for column in 0..<width {
            let scale = Double(Float(bitPattern: words[depth / 2 * width + column]))
            #expect(abs(scale - lengths[column] / Self.longest) <= 1e-6 * scale, "\(name): scale of \(column)")
            var squares = 0.0
            for k in 0..<depth {
                let integer = Self.integer(words, k, column, width)
                let exact = lengths[column] == 0 ? 0 : numbers[k * width + column] * Self.longest / lengths[column]
                // Half a unit, and what float32 rounds of sums up to 32767.
                #expect(abs(Double(integer) - exact) <= 0.52, "\(name): \(k), \(column): \(integer) for \(exact)")
                squares += Double(integer * integer)
            }
            #expect(squares.squareRoot() <= Self.longest + 0.5 * Double(depth).squareRoot(), "\(name): \(column) too long")
        }
    }

    @Test func filtersAreTheTwinsRounded() throws {
        try eachTable { table in
            let (kernels, width) = (table.integerWinograd, table.gemm.panelWidth)
            for (depth, turned) in [(32, false), (96, false), (64, true)] {
                var numbers = randomFloats(9 * depth * width, seed: UInt64(depth)).map { Reference.bfloat16($0) }
                // A column of zeros, and one whose filters are alike (the longest element there is).
                for index in numbers.indices {
                    if index % width == 1 { numbers[index] = 0 }
                    if index % width == 2 { numbers[index] = 1 }
                }
                let taps = numbers.count / 9
                let pairs = (0..<9).flatMap {
                    Reference.packPairs(Array(numbers[$0 * taps..<($0 + 1) * taps]), depth: depth, width: width)
                }
                let tapStride = depth / 2 * width, rows = IntegerWinogradKernels.words(depth)
                let elementStride = rows * width + 3
                let out = GuardedBuffer((Self.elements - 1) * elementStride + rows * width, misalignment: 1)
                pairs.withUnsafeBufferPointer {
                    guard let first = $0.baseAddress else { return }
                    kernels.filter(
                        turned ? first + 8 * tapStride : first, turned ? -tapStride : tapStride, depth, Self.words(out),
                        elementStride)
                }
                let order = turned ? Array((0..<9).reversed()) : Array(0..<9)
                let expected = ReferenceWinograd.unit.filter(order.flatMap { numbers[$0 * taps..<($0 + 1) * taps] }.doubles)
                let lengths = (0..<width).map { column in
                    numbers.indices.filter { $0 % width == column }
                        .reduce(0.0) { $0 + Double(numbers[$1]) * Double(numbers[$1]) }.squareRoot()
                }
                let all = out.array.map(\.bitPattern)
                for element in 0..<Self.elements {
                    let start = element * elementStride
                    expect(
                        Array(all[start..<start + rows * width]),
                        holds: Array(expected[element * taps..<(element + 1) * taps]), lengths: lengths, depth: depth,
                        "\(table.instructionSet), depth \(depth), element \(element)")
                }
                #expect(out.isIntact, "\(table.instructionSet) wrote outside")
            }
        }
    }

    @Test func inputsAreTheTwinsRoundedForEveryNumberOfTiles() throws {
        try eachTable { table in
            let (kernels, tileRows) = (table.integerWinograd, table.gemm.tileRows)
            for tiles in 1...tileRows {
                let depth = 32 * (1 + tiles % 3)
                let x = GuardedBuffer(randomFloats(50 * depth, seed: UInt64(tiles)), misalignment: 1)
                // Pixels anywhere, every seventh of them padding; the last tile is padding alone.
                let offsets = (0..<tiles * Self.elements).map {
                    $0 % 7 == 3 || $0 >= max(1, tiles - 1) * Self.elements ? -1 : $0 * 31 % 50 * depth
                }
                let scratch = GuardedBuffer(
                    IntegerWinogradKernels.inputScratch(depth: depth, tileRows: tileRows, lanes: table.lanes))
                let rows = IntegerWinogradKernels.words(depth), elementStride = rows * tileRows + 5
                let out = GuardedBuffer((Self.elements - 1) * elementStride + rows * tileRows, misalignment: 1)
                kernels.input(x.pointer, offsets, tiles, depth, scratch.pointer, Self.words(out), elementStride)
                let values = x.array, name = "\(table.instructionSet), \(tiles) tiles"
                let pixels = (0..<Self.elements).flatMap { element in
                    (0..<depth * tileRows).map { index -> Double in
                        let (k, tile) = (index / tileRows, index % tileRows)
                        let offset = tile < tiles ? offsets[tile * Self.elements + element] : -1
                        return offset >= 0 ? Double(values[offset + k]) : 0
                    }
                }
                let expected = ReferenceWinograd.unit.input(pixels)
                let all = out.array.map(\.bitPattern)
                for element in 0..<Self.elements {
                    let numbers = Array(expected[element * depth * tileRows..<(element + 1) * depth * tileRows])
                    let lengths = (0..<tileRows).map { tile in
                        (0..<depth).reduce(0.0) {
                            $0 + numbers[$1 * tileRows + tile] * numbers[$1 * tileRows + tile]
                        }.squareRoot()
                    }
                    let start = element * elementStride
                    expect(
                        Array(all[start..<start + rows * tileRows]), holds: numbers, lengths: lengths, depth: depth,
                        "\(name), element \(element)")
                }
                #expect(out.isIntact && scratch.isIntact, "\(name) wrote outside")
            }
        }
    }

    /// Words and scales of one tile whose pixels hold `number` in the first channel, and are else zero.
    private func transformed(_ number: Float, _ table: KernelTable) -> (words: [UInt32], scale: Float) {
        let (depth, tileRows) = (32, table.gemm.tileRows), rows = IntegerWinogradKernels.words(32)
        let x = [number] + [Float](repeating: 0, count: depth - 1)
        let scratch = GuardedBuffer(
            IntegerWinogradKernels.inputScratch(depth: depth, tileRows: tileRows, lanes: table.lanes))
        let out = GuardedBuffer(Self.elements * rows * tileRows)
        // One pixel in the middle: elements are multiples of it.
        let offsets = (0..<Self.elements).map { $0 == 14 ? 0 : -1 }
        table.integerWinograd.input(x, offsets, 1, depth, scratch.pointer, Self.words(out), rows * tileRows)
        let element = out.array[14 * rows * tileRows..<15 * rows * tileRows].map(\.bitPattern)
        return (Array(element[..<(rows * tileRows - tileRows)]), Float(bitPattern: element[(rows - 1) * tileRows]))
    }

    @Test func rowsTooShortToSquareAreZeros() throws {
        try eachTable { table in
            #expect(transformed(4.5e-23, table).words.allSatisfy { $0 == 0 }, "\(table.instructionSet)")
            #expect(transformed(1e-18, table).words.contains { $0 != 0 }, "\(table.instructionSet)")
        }
    }

    @Test(arguments: [Float.nan, .infinity, -.infinity, 1e25]) func whatIsNotFiniteStaysSo(_ number: Float) throws {
        try eachTable { table in
            #expect(!transformed(number, table).scale.isFinite, "\(table.instructionSet)")
        }
    }

    /// Rows of words: integers drawn by chance up to `most`, and a scale for each column.
    private func packed(_ pairs: Int, _ width: Int, most: Double, seed: UInt64) -> [UInt32] {
        let numbers = randomFloats(2 * pairs * width, seed: seed).map { Int16(Double($0) * most) }
        let words = (0..<pairs * width).map {
            UInt32(UInt16(bitPattern: numbers[2 * $0])) | UInt32(UInt16(bitPattern: numbers[2 * $0 + 1])) << 16
        }
        return words + randomFloats(width, seed: seed + 1).map { ($0 + 1.5).bitPattern }
    }

    @Test func multiplyScalesExactSumsForEveryRemainder() throws {
        try eachTable { table in
            let (kernels, gemm) = (table.integerWinograd, table.gemm)
            let (width, tileRows) = (gemm.panelWidth, gemm.tileRows)
            for rows in 1...2 * tileRows + 1 {
                let pairs = 1 + rows * 7 % 33, stride = width + 3
                let tiles = (0..<(rows + tileRows - 1) / tileRows).map {
                    packed(pairs, tileRows, most: 3000, seed: UInt64(100 * rows + $0))
                }
                let panel = packed(pairs, width, most: 3000, seed: UInt64(rows))
                let start = randomFloats((rows - 1) * stride + width, seed: 9)
                for accumulate in [false, true] {
                    let c = accumulate ? GuardedBuffer(start) : GuardedBuffer(start.count, misalignment: 1)
                    kernels.multiply(tiles.flatMap { $0 }, rows, pairs + 1, panel, c.pointer, stride, accumulate)
                    let result = c.array, name = "\(table.instructionSet), \(rows) rows"
                    for row in 0..<rows {
                        let (tile, inTile) = (tiles[row / tileRows], row % tileRows)
                        for column in 0..<width {
                            let sum = (0..<2 * pairs).reduce(0) {
                                $0 + Self.integer(tile, $1, inTile, tileRows) * Self.integer(panel, $1, column, width)
                            }
                            let scales = Double(Float(bitPattern: tile[pairs * tileRows + inTile]))
                                * Double(Float(bitPattern: panel[pairs * width + column]))
                            let expected = Double(sum) * scales + (accumulate ? Double(start[row * stride + column]) : 0)
                            let error = abs(Double(result[row * stride + column]) - expected)
                            #expect(error <= 3e-7 * abs(expected) + 1e-6, "\(name): \(error)")
                        }
                    }
                    let between = result.enumerated().filter { $0.offset % stride >= width }
                    let isUntouched = between.allSatisfy { i, x in accumulate ? x == start[i] : x.isNaN }
                    #expect(isUntouched && c.isIntact, "\(name) wrote outside")
                }
            }
        }
    }

    /// Parallel rows and columns of the longest length, in one number and in many: the largest sums there are.
    @Test(arguments: [1, 8, 2048]) func theLargestSumsDoNotOverflow(_ pairs: Int) throws {
        try eachTable { table in
            let (kernels, gemm) = (table.integerWinograd, table.gemm)
            let number = Int16(Self.longest / Double(pairs == 1 ? 1 : 2 * pairs).squareRoot())
            let half = UInt32(UInt16(bitPattern: -number))
            let word = pairs == 1 ? half : half | half << 16
            func operand(_ width: Int) -> [UInt32] {
                [UInt32](repeating: word, count: pairs * width) + [UInt32](repeating: Float(1).bitPattern, count: width)
            }
            let c = GuardedBuffer(gemm.tileRows * gemm.panelWidth)
            kernels.multiply(
                operand(gemm.tileRows), gemm.tileRows, pairs + 1, operand(gemm.panelWidth), c.pointer, gemm.panelWidth,
                false)
            let expected = Float(Int(number) * Int(number) * (pairs == 1 ? 1 : 2 * pairs))
            #expect(c.array.allSatisfy { $0 == expected }, "\(table.instructionSet): \(c.array[0]), not \(expected)")
        }
    }

    @Test func outputAgreesWithTheTwin() throws {
        try eachTable { table in
            let columns = 2 * table.lanes, elementStride = columns + 3, pixels = 16
            let products = randomFloats((Self.elements - 1) * elementStride + columns, seed: 1)
            let bias = randomFloats(columns, seed: 2)
            let y = GuardedBuffer(pixels * columns, misalignment: 1)
            table.integerWinograd.output(
                products, elementStride, columns, y.pointer, (0..<pixels).map { $0 * columns }, bias, nil, nil)
            let transformed = ReferenceWinograd.unit.output(
                (0..<Self.elements * columns).map { Double(products[$0 / columns * elementStride + $0 % columns]) })
            let expected = transformed.enumerated().map { $0.element + Double(bias[$0.offset % columns]) }
            expectClose(y.array, expected, tolerance: 1e-6, table.instructionSet)
            #expect(y.isIntact)
        }
    }
}
