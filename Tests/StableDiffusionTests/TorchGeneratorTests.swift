import Checkpoints
import Foundation
import StableDiffusion
import Tensors
import Testing

/// Where a fixture lies in the test bundle.
func fixture(_ name: String) throws -> String {
    let url = try #require(Bundle.module.resourceURL).appendingPathComponent("Fixtures/" + name)
    try #require(FileManager.default.fileExists(atPath: url.path), "fixture \(name) is missing")
    return url.path
}

/// Largest absolute difference; infinite for differing counts or NaN.
func largestDifference(_ a: [Float], _ b: [Float]) -> Float {
    guard a.count == b.count else { return .infinity }
    return zip(a, b).reduce(0) { $1.0.isNaN || $1.1.isNaN ? .infinity : max($0, abs($1.0 - $1.1)) }
}

/// ‖a − b‖ / ‖b‖; infinite for differing counts.
func relativeError(_ a: [Float], _ b: [Float]) -> Double {
    guard a.count == b.count else { return .infinity }
    let square = zip(a, b).reduce(0.0) { $0 + pow(Double($1.0) - Double($1.1), 2) }
    return (square / b.reduce(0.0) { $0 + Double($1) * Double($1) }).squareRoot()
}

@Suite struct TorchGeneratorTests {
    static let seeds: [UInt64] = [0, 1024, 1111, 4359, 1_099_511_627_779]

    /// Bulk draws, draws with a tail, and scalar draws, as PyTorch made them.
    @Test(arguments: seeds) func randnAgreesWithPyTorch(seed: UInt64) throws {
        let golden = try SafetensorsFile(path: fixture("torch_rng.safetensors"))
        for count in [1, 7, 15, 16, 17, 31, 40, 1024] {
            var generator = TorchGenerator(seed: seed)
            let expected = try golden.weight("randn/\(seed)/\(count)").floats()
            #expect(largestDifference(generator.randn([count]).array, expected) < 2e-6, "\(count) values")
        }
    }

    /// A bulk draw, then few values (whose spare one stays pending), then a bulk draw with a tail.
    @Test(arguments: seeds) func drawsInSequence(seed: UInt64) throws {
        let golden = try SafetensorsFile(path: fixture("torch_rng.safetensors"))
        var generator = TorchGenerator(seed: seed)
        for (name, shape) in [("a", [1, 4, 16, 16]), ("b", [5]), ("c", [20])] {
            let expected = try golden.weight("randn/\(seed)/seq_\(name)").floats()
            #expect(largestDifference(generator.randn(shape).array, expected) < 2e-6, "draw \(name)")
        }
    }

    @Test(arguments: seeds) func randAgreesWithPyTorch(seed: UInt64) throws {
        let golden = try SafetensorsFile(path: fixture("torch_rng.safetensors"))
        var generator = TorchGenerator(seed: seed)
        let expected = try golden.weight("rand/\(seed)/33").floats()
        #expect(generator.rand([33]).array == expected)
    }

    /// Five normals leave one pending; a bulk draw does not use it up, the next scalar draw does.
    @Test func thePendingNormalOutlivesABulkDraw() {
        var interrupted = TorchGenerator(seed: 3)
        var straight = TorchGenerator(seed: 3)
        let first = interrupted.randn([5]).array
        _ = interrupted.randn([16])
        let pending = interrupted.randn([1]).array
        #expect(straight.randn([6]).array == first + pending)
    }
}
