import Ops
import ReferenceKernels
import Tensors
import TestSupport
import Testing

/// Attention of several blocks of queries and ranges of keys; the gradient table has single ones.
@Suite struct AttentionTests {
    private struct Case {
        let queries: Int
        let keys: Int
        let heads: Int
        let width: Int
        var channels: Int { heads * width }
    }

    /// More than a block of queries (128); two and four ranges of keys, which split dQuery; SD 1.5's head width.
    private static let cases = [
        Case(queries: 140, keys: 9, heads: 2, width: 4), Case(queries: 5, keys: 600, heads: 1, width: 8),
        Case(queries: 3, keys: 1030, heads: 2, width: 4), Case(queries: 20, keys: 77, heads: 2, width: 40),
    ]

    private struct Inputs {
        let query, key, value, dOut: Tensor
    }

    private func inputs(_ c: Case, samples: Int) -> Inputs {
        func tensor(_ tokens: Int, _ seed: UInt64) -> Tensor {
            Tensor([samples, tokens, c.channels], randomFloats(samples * tokens * c.channels, seed: seed, scale: 2))
        }
        return Inputs(query: tensor(c.queries, 1), key: tensor(c.keys, 2), value: tensor(c.keys, 3),
            dOut: tensor(c.queries, 4))
    }

    /// One head of one sample as a dense array.
    private func head(_ tensor: Tensor, _ sample: Int, _ head: Int, _ width: Int) -> [Float] {
        let rows = tensor.slice(sample..<sample + 1).array
        let channels = tensor.channels
        return rows.indices.filter { $0 % channels / width == head }.map { rows[$0] }
    }

    private func gradients(_ c: Case, _ x: Inputs, _ engine: Engine) -> (out: Tensor, d: [Tensor]) {
        let (out, saved) = Attention.forward(
            query: x.query, key: x.key, value: x.value, heads: c.heads, engine: engine)
        let d = Attention.backwardInput(
            x.dOut, query: x.query, key: x.key, value: x.value, out: out, saved: saved, heads: c.heads, engine: engine)
        let alone = Attention.backwardQuery(
            x.dOut, query: x.query, key: x.key, value: x.value, out: out, saved: saved, heads: c.heads, engine: engine)
        return (out, [d.dQuery, d.dKey, d.dValue, alone])
    }

    /// Sums of up to 1030 products in float32, and differences of them; see the kernels' tests.
    @Test func largeAttentionAgreesWithTheTwin() throws {
        let engine = try Engine(threads: 2)
        for c in Self.cases {
            let x = inputs(c, samples: 2)
            let (out, d) = gradients(c, x, engine)
            for sample in 0..<2 {
                for h in 0..<c.heads {
                    func part(_ tensor: Tensor) -> [Float] { head(tensor, sample, h, c.width) }
                    let scale = 1 / Double(c.width).squareRoot()
                    let (q, k, v) = (part(x.query).doubles, part(x.key).doubles, part(x.value).doubles)
                    let expected = Reference.attention(q, k, v, width: c.width, scale: scale, causal: false)
                    let e = Reference.attentionBackward(
                        part(x.dOut).doubles, q, k, v, width: c.width, scale: scale, causal: false)
                    expectClose(part(out), expected, tolerance: 3e-6, "out of \(c)")
                    for (actual, expected) in zip(d, [e.dQuery, e.dKey, e.dValue, e.dQuery]) {
                        expectClose(part(actual), expected, tolerance: 1e-5, "gradient of \(c)")
                    }
                }
            }
        }
    }

    @Test func resultsDoNotDependOnThreadsOrOnTheBatch() throws {
        for c in Self.cases {
            let x = inputs(c, samples: 2)
            let one = gradients(c, x, try Engine(threads: 1))
            let two = gradients(c, x, try Engine(threads: 2))
            let first = Inputs(
                query: x.query.slice(0..<1), key: x.key.slice(0..<1), value: x.value.slice(0..<1),
                dOut: x.dOut.slice(0..<1))
            let alone = gradients(c, first, try Engine(threads: 2))
            expectIdentical(one.out.array, two.out.array, "\(c)")
            expectIdentical(alone.out.array, one.out.slice(0..<1).array, "first sample of \(c)")
            for (index, pair) in zip(one.d, two.d).enumerated() {
                expectIdentical(pair.0.array, pair.1.array, "\(c)")
                expectIdentical(alone.d[index].array, pair.0.slice(0..<1).array, "first sample of \(c)")
            }
        }
    }

    /// For many threads the gradients of keys and of queries are computed apart.
    @Test(arguments: InstructionSet.supported, Precision.allCases)
    func keysAndQueriesApartHaveTheBitsOfBothTogether(_ name: String, _ precision: Precision) throws {
        func engine(_ threads: Int) throws -> Engine {
            try Engine(instructionSet: name, threads: threads, precision: precision)
        }
        for tokens in [130, 600, 1100] {
            let c = Case(queries: tokens, keys: tokens, heads: 2, width: 12)
            let x = inputs(c, samples: 3)
            let two = gradients(c, x, try engine(2))
            for threads in [12, 20, 64] {
                let many = gradients(c, x, try engine(threads))
                for (a, b) in zip(two.d, many.d) { expectIdentical(a.array, b.array, "\(c), \(threads) threads") }
            }
        }
    }

    /// A context given once for all samples is the same as its copies.
    @Test func aSharedContextIsItsCopies() throws {
        let (c, engine) = (Self.cases[3], try Engine(threads: 2))
        let x = inputs(c, samples: 3)
        func repeated(_ tensor: Tensor) -> Tensor {
            let one = tensor.slice(0..<1).array
            return Tensor(tensor.shape, one + one + one)
        }
        let copies = Inputs(query: x.query, key: repeated(x.key), value: repeated(x.value), dOut: x.dOut)
        let expected = gradients(c, copies, engine)
        let (key, value) = (x.key.slice(0..<1), x.value.slice(0..<1))
        let (out, saved) = Attention.forward(query: x.query, key: key, value: value, heads: c.heads, engine: engine)
        let dQuery = Attention.backwardQuery(
            x.dOut, query: x.query, key: key, value: value, out: out, saved: saved, heads: c.heads, engine: engine)
        expectIdentical(out.array, expected.out.array)
        expectIdentical(dQuery.array, expected.d[3].array)
    }
}
