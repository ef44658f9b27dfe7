import ComplexModule
import RealModule

/// A number type the slow twins run on: Float and Double for values, `Complex<Double>` for derivatives by complex step
/// (Squire & Trapp 1998): f′(x) = Im f(x + i·h)/h, exact to rounding even for h = 1e-50, as nothing is subtracted.
public protocol ReferenceScalar: AlgebraicField, ElementaryFunctions {
    static func real(_ value: Double) -> Self
    /// What branches look at.
    var realPart: Double { get }
}

extension Double: ReferenceScalar {
    public static func real(_ value: Double) -> Double { value }
    public var realPart: Double { self }
}

extension Float: ReferenceScalar {
    public static func real(_ value: Double) -> Float { Float(value) }
    public var realPart: Double { Double(self) }
}

extension Complex<Double>: ReferenceScalar {
    public static func real(_ value: Double) -> Complex<Double> { Complex(value) }
    public var realPart: Double { real }
}

/// The slow twins of the kernels and of the operations made from them: the same formulas as plain loops over arrays,
/// never optimized, generic over the number type. For tests and benchmarks; nothing that ships imports this module.
public enum Reference {
    /// erf(z) = 2/√π · e^(−z²) · Σ 2ⁿ z^(2n+1)/(2n+1)!!, which for real z has terms of one sign only (Abramowitz &
    /// Stegun 7.1.6). It serves complex numbers too. 200 terms are enough for |z| < 7; beyond, erf is ±1 to 1e-22.
    public static func erf<T: ReferenceScalar>(_ z: T) -> T {
        if abs(z.realPart) > 7 { return T.real(z.realPart > 0 ? 1 : -1) }
        var term = z
        var sum = z
        for n in 1..<200 {
            term = term * z * z * T.real(2 / Double(2 * n + 1))
            sum += term
        }
        return T.real(2 / Double.pi.squareRoot()) * T.exp(-(z * z)) * sum
    }

    static func zeros<T: ReferenceScalar>(_ count: Int) -> [T] { [T](repeating: T.real(0), count: count) }
}
