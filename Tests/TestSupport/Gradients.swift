import ComplexModule
import RealModule

/// The gradient at `x` of Σ cotangent·function(x), by complex step: exact to rounding.
public func complexStepGradient(
    at x: [Double], cotangent: [Double], _ function: ([Complex<Double>]) -> [Complex<Double>]
) -> [Double] {
    let step = 1e-40
    return x.indices.map { i in
        var point = x.map { Complex($0) }
        point[i] = Complex(x[i], step)
        return zip(cotangent, function(point)).reduce(0) { $0 + $1.0 * $1.1.imaginary } / step
    }
}
