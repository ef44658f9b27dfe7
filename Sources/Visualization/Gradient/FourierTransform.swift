#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The discrete Fourier transform of any length, X[k] = Σ_n x[n] e^(−2πi kn/N), in double precision.
///
/// Decimation in time over the prime factors of the length: O(N · Σ factors), so exact for a prime too. Complex
/// numbers are `SIMD2` (real, imaginary).
package struct FourierTransform: Sendable {
    package typealias Complex = SIMD2<Double>

    package let count: Int
    private let factors: [Int]
    /// e^(−2πi k/N).
    private let roots: [Complex]

    package init(count: Int) {
        precondition(count > 0, "Fourier transform of \(count) numbers")
        self.count = count
        roots = (0..<count).map { k in
            let angle = -2 * Double.pi * Double(k) / Double(count)
            return Complex(cos(angle), sin(angle))
        }
        var (rest, factors) = (count, [Int]())
        for factor in 2...max(2, count) {
            while rest % factor == 0 {
                factors.append(factor)
                rest /= factor
            }
        }
        self.factors = factors
    }

    /// Transforms `count` numbers that lie `stride` apart, in place. The inverse is not divided by `count`.
    package func transform(_ values: UnsafeMutablePointer<Complex>, stride: Int, inverse: Bool = false) {
        withUnsafeTemporaryAllocation(of: Complex.self, capacity: 2 * count) { scratch in
            guard let output = scratch.baseAddress else { return }
            let flip = Complex(1, inverse ? -1 : 1)
            for i in 0..<count { values[i * stride] *= flip }
            recurse(values, stride, into: output, count: count, level: 0, terms: output + count)
            // The inverse is the conjugate of the transform of the conjugate.
            for i in 0..<count { values[i * stride] = output[i] * flip }
        }
    }

    /// `output[0..<n]` = transform of `input[0], input[stride], …`; `terms` has room for one butterfly.
    private func recurse(
        _ input: UnsafeMutablePointer<Complex>, _ stride: Int, into output: UnsafeMutablePointer<Complex>,
        count n: Int, level: Int, terms: UnsafeMutablePointer<Complex>
    ) {
        if n == 1 {
            output[0] = input[0]
            return
        }
        let (factor, step) = (factors[level], count / n)
        let m = n / factor
        for q in 0..<factor {
            recurse(input + q * stride, stride * factor, into: output + q * m, count: m, level: level + 1, terms: terms)
        }
        for k in 0..<m {
            for q in 0..<factor { terms[q] = Self.product(output[q * m + k], roots[q * k * step]) }
            for r in 0..<factor {
                var sum = terms[0]
                for q in 1..<factor { sum += Self.product(terms[q], roots[q * r % factor * m * step]) }
                output[r * m + k] = sum
            }
        }
    }

    private static func product(_ a: Complex, _ b: Complex) -> Complex {
        Complex(a.x * b.x - a.y * b.y, a.x * b.y + a.y * b.x)
    }
}
