import KernelInterface
import RealModule
import ReferenceKernels
import Testing
import TestSupport

@Suite struct AttentionKernelTests {
    /// One head's problem. `stride` floats lie between tokens, more than the head's own.
    struct Case: Sendable, CustomTestStringConvertible {
        let queries: Int
        let keys: Int
        let width: Int
        var causal = false

        var stride: Int { width + 5 }
        var testDescription: String { "\(queries)×\(keys)×\(width)\(causal ? " causal" : "")" }

        func head() -> AttentionHead {
            AttentionHead(
                width: width, queryStride: stride, keyStride: stride, scale: 1 / Float(width).squareRoot(),
                causal: causal)
        }

        func tokens(_ count: Int, seed: UInt64, scale: Float = 1) -> GuardedBuffer {
            // The last token ends where the head's own floats do: nothing beyond may be read (it is NaN) or written.
            GuardedBuffer(randomFloats((count - 1) * stride + width, seed: seed, scale: scale), misalignment: 1)
        }

        /// The head's own floats, without what lies between tokens.
        func dense(_ buffer: GuardedBuffer, _ count: Int) -> [Float] {
            let values = buffer.array
            return (0..<count * width).map { values[$0 / width * stride + $0 % width] }
        }
    }

    /// Around one token, the sides of tiles (6, 12) and panels (8, 16, 32), blocks of 64 queries and keys and of 240
    /// keys; widths below a vector, of small models, of SD 1.5 (40), and beyond one panel.
    static let cases: [Case] =
        [1, 2, 5, 6, 7, 12, 13, 16, 17, 31, 33].map { Case(queries: $0, keys: 35 - $0, width: 4 + $0 % 5) }
        + [2, 3, 4, 8, 13, 16, 24, 40, 70].map { Case(queries: 9, keys: 14, width: $0) }
        + [(64, 77), (65, 64), (3, 241), (2, 490), (130, 3)].map { Case(queries: $0.0, keys: $0.1, width: 8) }
        + [2, 12, 33, 65, 131].map { Case(queries: $0, keys: $0, width: 8, causal: true) }

    /// In float32: sums of up to 490 products and exponentials of 2 ulp; the backward pass adds a difference of such sums.
    ///
    /// bfloat16 rounds queries, keys, values, probabilities and gradients to 2⁻⁹ each; errors of several such roundings add
    /// up to the tolerances, and a score of 8 is off by a few hundredths.
    @Test(arguments: [Float(3e-6), 2e-2], cases)
    func allKernelsAgreeWithTheTwin(_ tolerance: Float, _ test: Case) throws {
        let tolerance = Double(tolerance)
        let (query, key) = (test.tokens(test.queries, seed: 1, scale: 2), test.tokens(test.keys, seed: 2, scale: 2))
        let (value, dOut) = (test.tokens(test.keys, seed: 3), test.tokens(test.queries, seed: 4))
        let inputs = (
            test.dense(query, test.queries).doubles, test.dense(key, test.keys).doubles,
            test.dense(value, test.keys).doubles
        )
        let scale = Double(test.head().scale)
        let expected = Reference.attention(
            inputs.0, inputs.1, inputs.2, width: test.width, scale: scale, causal: test.causal)
        let gradients = Reference.attentionBackward(
            test.dense(dOut, test.queries).doubles, inputs.0, inputs.1, inputs.2, width: test.width, scale: scale,
            causal: test.causal)
        try eachTable { table in
            let run = AttentionRun(table: table, test: test, isBFloat16: tolerance > 1e-3)
            run.forward(query, key, value)
            run.check(run.out, test.queries, expected, tolerance, "out")
            run.backwardQuery(query, key, value, dOut)
            run.check(run.dQuery, test.queries, gradients.dQuery, 3 * tolerance, "dQuery alone")
            run.backward(query, key, value, dOut, split: test.keys)
            run.check(run.dQuery, test.queries, gradients.dQuery, 3 * tolerance, "dQuery")
            run.check(run.dKey, test.keys, gradients.dKey, 3 * tolerance, "dKey")
            run.check(run.dValue, test.keys, gradients.dValue, 3 * tolerance, "dValue")
            run.expectTheSameApart(query, key, value, dOut)
            if test.keys > 5 {
                run.backward(query, key, value, dOut, split: test.keys / 2)
                run.check(run.dQuery, test.queries, gradients.dQuery, 3 * tolerance, "dQuery in two parts")
                run.check(run.dKey, test.keys, gradients.dKey, 3 * tolerance, "dKey in two parts")
                run.check(run.dValue, test.keys, gradients.dValue, 3 * tolerance, "dValue in two parts")
            }
        }
    }

    /// Sums of exponentials on a grid of 1001 scores from −40 to 0 (times log₂e), of operands that bfloat16 holds exactly: a
    /// query's three numbers add up to its score, which 300 keys have whole, 200 by half, and one not at all. So the largest
    /// score grows from block to block of keys, by less and by more than what probabilities in bfloat16 take without being
    /// reduced anew. 9e-5 is the bound of their exponential.
    @Test(arguments: [Float(2e-6), 9.1e-5])
    func sumsOfExponentialsAreWithinTheirBound(_ tolerance: Float) throws {
        let test = Case(queries: 1001, keys: 501, width: 3)
        let (query, key) = (test.tokens(1001, seed: 1), test.tokens(501, seed: 2))
        var scores: [Double] = []
        for i in 0..<1001 {
            var rest = Float(i) * -0.04
            scores.append(Double(rest))
            for c in 0..<3 {
                let number = Float(bitPattern: rest.bitPattern & 0xFFFF_0000)
                query.pointer[i * test.stride + c] = number
                rest -= number
            }
        }
        for j in 0..<501 {
            for c in 0..<3 { key.pointer[j * test.stride + c] = j < 300 ? 1 : j < 500 ? 0.5 : 0 }
        }
        var head = test.head()
        head.scale = 0.693147182
        try eachTable { table in
            let run = AttentionRun(table: table, test: test, isBFloat16: tolerance > 1e-5)
            run.forward(query, key, test.tokens(501, seed: 3), head: head)
            for (i, score) in scores.enumerated() {
                let expected = 300 * Double.exp2(score) + 200 * Double.exp2(score / 2) + 1
                let sum = Double.exp2(Double(run.softmax.array[i])) / Double(run.softmax.array[1001 + i])
                #expect(abs(sum / expected - 1) < Double(tolerance), "score \(score): \(sum), \(table.instructionSet)")
            }
        }
    }

    /// Scores of ±7000, of which a plain exponential would overflow; they are rounded to 5e-4, so weights to 1e-3.
    @Test func hugeScoresDoNotOverflow() throws {
        let test = Case(queries: 7, keys: 300, width: 4)
        let (query, key) = (test.tokens(7, seed: 1, scale: 60), test.tokens(300, seed: 2, scale: 60))
        let value = test.tokens(300, seed: 3)
        let (queries, keys) = (test.dense(query, 7).doubles, test.dense(key, 300).doubles)
        let values = test.dense(value, 300).doubles
        var expected: [Double] = []
        for i in 0..<7 {
            let scores = (0..<300).map { j in
                (0..<4).reduce(0.0) { $0 + queries[i * 4 + $1] * keys[j * 4 + $1] } * 0.5
            }
            let weights = scores.map { Double.exp($0 - scores.max()!) }
            let total = weights.reduce(0, +)
            for c in 0..<4 {
                expected.append((0..<300).reduce(0.0) { $0 + weights[$1] * values[$1 * 4 + c] } / total)
            }
        }
        try eachTable { table in
            let run = AttentionRun(table: table, test: test)
            run.forward(query, key, value)
            run.check(run.out, 7, expected, 5e-3, "out")
        }
    }
}

/// The kernels of one table on one case, with guarded buffers for everything they write.
private final class AttentionRun {
    let table: KernelTable
    let test: AttentionKernelTests.Case
    let isBFloat16: Bool
    let out, dQuery, dKey, dValue, softmax: GuardedBuffer

    init(table: KernelTable, test: AttentionKernelTests.Case, isBFloat16: Bool = false) {
        self.table = table
        self.isBFloat16 = isBFloat16
        self.test = test
        func tokens(_ count: Int) -> GuardedBuffer { GuardedBuffer((count - 1) * test.stride + test.width) }
        (out, dQuery) = (tokens(test.queries), tokens(test.queries))
        (dKey, dValue) = (tokens(test.keys), tokens(test.keys))
        softmax = GuardedBuffer(2 * test.queries, misalignment: 1)
    }

    private var kernels: AttentionKernels { isBFloat16 ? table.attentionBFloat16 : table.attention }

    private func packed(_ pack: AttentionKernels.Pack, _ tokens: GuardedBuffer) -> GuardedBuffer {
        let result = GuardedBuffer(kernels.packedCount(test.keys, test.width))
        pack(tokens.pointer, test.stride, test.keys, test.width, result.pointer)
        #expect(result.isIntact, "\(test.testDescription), \(table.instructionSet): packing wrote outside")
        return result
    }

    private func eachBlock(_ body: (Range<Int>, GuardedBuffer) -> Void) {
        let scratch = GuardedBuffer(kernels.scratchCount(test.width))
        for first in stride(from: 0, to: test.queries, by: kernels.queryBlock) {
            body(first..<min(test.queries, first + kernels.queryBlock), scratch)
        }
        #expect(scratch.isIntact, "\(test.testDescription), \(table.instructionSet): scratch is too small")
    }

    func forward(
        _ query: GuardedBuffer, _ key: GuardedBuffer, _ value: GuardedBuffer, head: AttentionHead? = nil
    ) {
        let (keys, values) = (packed(kernels.packTokens, key), packed(kernels.packChannels, value))
        eachBlock { rows, scratch in
            kernels.forward(
                head ?? test.head(), query.pointer, rows, keys.pointer, values.pointer, test.keys, out.pointer,
                softmax.pointer, test.queries, scratch.pointer)
        }
    }

    private func delta(_ dOut: GuardedBuffer) -> GuardedBuffer {
        let result = GuardedBuffer(test.queries)
        kernels.rowDots(dOut.pointer, out.pointer, test.stride, test.queries, test.width, result.pointer)
        return result
    }

    func backwardQuery(_ query: GuardedBuffer, _ key: GuardedBuffer, _ value: GuardedBuffer, _ dOut: GuardedBuffer) {
        let (keys, values) = (packed(kernels.packTokens, key), packed(kernels.packTokens, value))
        let channels = packed(kernels.packChannels, key)
        let delta = delta(dOut)
        eachBlock { rows, scratch in
            kernels.backwardQuery(
                test.head(), query.pointer, dOut.pointer, rows, keys.pointer, values.pointer, channels.pointer,
                test.keys, softmax.pointer, test.queries, delta.pointer, dQuery.pointer, scratch.pointer)
        }
    }

    /// The keys in ranges of `split`; dQuery's parts added up.
    func backward(
        _ query: GuardedBuffer, _ key: GuardedBuffer, _ value: GuardedBuffer, _ dOut: GuardedBuffer, split: Int
    ) {
        let delta = delta(dOut)
        let scratch = GuardedBuffer(kernels.backwardScratchCount(split, test.width))
        for first in stride(from: 0, to: test.keys, by: split) {
            let part = GuardedBuffer(dQuery.count)
            kernels.backward(
                test.head(), query.pointer, dOut.pointer, test.queries, key.pointer, value.pointer,
                first..<min(test.keys, first + split), softmax.pointer, test.queries, delta.pointer, part.pointer,
                dKey.pointer, dValue.pointer, scratch.pointer)
            for i in 0..<dQuery.count {
                dQuery.pointer[i] = first == 0 ? part.pointer[i] : dQuery.pointer[i] + part.pointer[i]
            }
            #expect(part.isIntact && scratch.isIntact, "\(test.testDescription), \(table.instructionSet)")
        }
    }

    /// Without the gradients of keys and values, or without the queries', the others have the bits that they have together.
    func expectTheSameApart(
        _ query: GuardedBuffer, _ key: GuardedBuffer, _ value: GuardedBuffer, _ dOut: GuardedBuffer
    ) {
        let delta = delta(dOut)
        let scratch = GuardedBuffer(kernels.backwardScratchCount(test.keys, test.width))
        let parts = [dQuery, dKey, dValue].map { GuardedBuffer($0.count) }
        func backward(wantsQuery: Bool) {
            kernels.backward(
                test.head(), query.pointer, dOut.pointer, test.queries, key.pointer, value.pointer, 0..<test.keys,
                softmax.pointer, test.queries, delta.pointer, wantsQuery ? parts[0].pointer : nil,
                wantsQuery ? nil : parts[1].pointer, wantsQuery ? nil : parts[2].pointer, scratch.pointer)
        }
        backward(wantsQuery: true)
        backward(wantsQuery: false)
        for (part, whole) in zip(parts, [dQuery, dKey, dValue]) {
            #expect(part.isIntact && scratch.isIntact, "\(test.testDescription), \(table.instructionSet)")
            let same = zip(part.array, whole.array).allSatisfy { $0.bitPattern == $1.bitPattern || ($0.isNaN && $1.isNaN) }
            #expect(same, "apart: \(test.testDescription), \(table.instructionSet)")
        }
    }

    func check(_ buffer: GuardedBuffer, _ tokens: Int, _ expected: [Double], _ tolerance: Double, _ name: String) {
        let title = "\(name) of \(test.testDescription), \(table.instructionSet)"
        expectClose(test.dense(buffer, tokens), expected, tolerance: tolerance, title)
        #expect(buffer.isIntact && softmax.isIntact, "\(title) wrote outside")
        let between = buffer.array.enumerated().filter { $0.offset % test.stride >= test.width }
        #expect(between.allSatisfy { $0.element.isNaN }, "\(title) wrote between tokens")
    }
}
