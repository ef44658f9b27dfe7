import Tensors
import Testing

import Visualization

/// Against the classes of the paper's public code.
@Suite struct RegularizerTests {
    let golden: Golden
    static let tolerance = 1e-5

    init() throws { golden = try Golden("regularizers") }

    @Test(arguments: 0..<3) func spectralFilter(_ index: Int) throws {
        let gradient = try golden("\(index)/grad")
        let filter = SpectralFilter(height: gradient.shape[2], width: gradient.shape[3])
        #expect(relativeError(filter(gradient), try golden("\(index)/precondition")) < Self.tolerance)
    }

    @Test(arguments: 0..<3, [0, 10, 49, 99]) func smoothing(_ index: Int, _ step: Int) throws {
        let gradient = try golden("\(index)/grad")
        let sigma = GaussianSmoothing.sigma(step: step, of: 100, from: 0.5, to: 0)
        let smooth = sigma > 0 ? GaussianSmoothing.apply(gradient, sigma: sigma) : gradient
        #expect(relativeError(smooth, try golden("\(index)/smooth/\(step)")) < Self.tolerance)
    }

    static let penalties: [(String, Penalties)] = [
        ("tv", Penalties(totalVariation: 0.5)), ("range", Penalties(range: 0.5)),
        ("range1", Penalties(range: 0.5, rangeThreshold: 1)), ("moment", Penalties(moment: 0.5)),
    ]

    @Test(arguments: 0..<3, penalties) func penalty(_ index: Int, _ penalty: (name: String, value: Penalties)) throws {
        let result = penalty.value.evaluate(try golden("\(index)/latent"))
        let value = Double(try golden("\(index)/\(penalty.name)/value").array[0])
        #expect(abs(result.values.sum - value) <= Self.tolerance * abs(value))
        #expect(relativeError(result.gradient, try golden("\(index)/\(penalty.name)/grad")) < Self.tolerance)
    }

    @Test func affineWarp() throws {
        let keys = try #require(golden.json["affine"]?.array).compactMap(\.string)
        #expect(keys.count == 15)
        for key in keys {
            let parts = key.split(separator: "/")
            let angle = try #require(Double(parts[2]))
            let scale = try #require(Double(parts[3]))
            let augmentation = Augmentation(angle: angle, scale: scale, warps: true)
            let warped = augmentation.apply(try golden("\(parts[0])/latent"))
            #expect(relativeError(warped, try golden(key)) < Self.tolerance, "\(key)")
            let pulled = augmentation.backwardInput(try golden(key + "/cotangent"))
            #expect(relativeError(pulled, try golden(key + "/vjp")) < Self.tolerance, "\(key)")
        }
    }

    @Test(arguments: 0..<3) func roll(_ index: Int) throws {
        let latent = try golden("\(index)/latent")
        let augmentation = Augmentation(rollY: 1, rollX: -2)
        let rolled = augmentation.apply(latent)
        #expect(bits(rolled) == bits(try golden("\(index)/roll/1/-2")))
        #expect(bits(augmentation.backwardInput(rolled)) == bits(latent))
    }

    /// Against the definition, for lengths with small, large and repeated prime factors.
    @Test(arguments: [1, 2, 3, 5, 6, 7, 10, 12, 16, 24, 34, 64, 96]) func fourierTransform(_ count: Int) {
        let random = CounterRandom(seed: 3, purpose: .noise)
        let values = (0..<count).map { SIMD2(Double(random.normal(2 * $0)), Double(random.normal(2 * $0 + 1))) }
        var transformed = values
        let transform = FourierTransform(count: count)
        transformed.withUnsafeMutableBufferPointer { transform.transform($0.baseAddress!, stride: 1) }
        for k in 0..<count {
            var expected = SIMD2<Double>.zero
            for (n, x) in values.enumerated() {
                let root = rootOfUnity(k * n % count, of: count)
                expected += SIMD2(x.x * root.x - x.y * root.y, x.x * root.y + x.y * root.x)
            }
            #expect(abs(transformed[k].x - expected.x) < 1e-11 && abs(transformed[k].y - expected.y) < 1e-11)
        }
        transformed.withUnsafeMutableBufferPointer { transform.transform($0.baseAddress!, stride: 1, inverse: true) }
        for k in 0..<count {
            let back = transformed[k] / Double(count) - values[k]
            #expect(abs(back.x) < 1e-12 && abs(back.y) < 1e-12)
        }
    }

    /// Latents need not be square, nor have sides that are powers of two.
    @Test(arguments: [(10, 6), (24, 16), (5, 7)]) func filterKeepsDeviation(_ height: Int, _ width: Int) {
        let gradient = randomTensor([2, 3, height, width], seed: 11)
        let filtered = SpectralFilter(height: height, width: width)(gradient)
        #expect(abs(filtered.deviation - gradient.deviation) < 1e-5)
    }
}
