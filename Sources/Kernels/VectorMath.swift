// Exponential, logistic function and normal distribution on vectors. Coefficients are weighted minimax fits (Lawson
// iteration in double precision, 1000 nodes) of the stated function on the stated interval; bounds hold for float32
// arithmetic with and without fused multiply-add and are tested against Double.
#if LVO_AVX512 && !LVO_AMX_MODEL
import CInstructions
#endif

@inline(always) func horner(_ x: Vec, _ high: Float, _ low: Float) -> Vec {
    multiplyAdd(x, Vec(repeating: high), Vec(repeating: low))
}

@inline(always) func horner(_ x: Vec, _ sum: Vec, _ low: Float) -> Vec {
    multiplyAdd(x, sum, Vec(repeating: low))
}

@inline(always) func bits(_ x: Vec) -> IntVec { unsafeBitCast(x, to: IntVec.self) }
@inline(always) func float(_ x: IntVec) -> Vec { unsafeBitCast(x, to: Vec.self) }
@inline(always) func magnitude(_ x: Vec) -> Vec { float(bits(x) & IntVec(repeating: 0x7FFF_FFFF)) }

/// 1.5·2²³: added to |x| < 2²², the sum's low bits are x rounded to an integer.
@inline(always) var roundingShift: Float { 12_582_912 }

/// 2^f for f in −½…½, relative error 2e-9 before rounding; exactly 1 at 0.
@inline(always) func exp2Fraction(_ f: Vec) -> Vec {
    var p = horner(f, 0.000153533623, 0.00133988746)
    p = horner(f, p, 0.00961843736)
    p = horner(f, p, 0.0555033247)
    p = horner(f, p, 0.240226479)
    p = horner(f, p, 0.693147203)
    return horner(f, p, 1)
}

/// 2^x for x ≤ 127, at most 2 ulp; exactly 1 at 0; 0 below −126 (no subnormal results), also for −∞; NaN for NaN.
@inline(always) func exp2(_ x: Vec) -> Vec {
    let shifted = x + roundingShift
    let fraction = x - (shifted - roundingShift)
    let power = float(bits(exp2Fraction(fraction)) &+ (bits(shifted) &<< 23))
    return power.replacing(with: Vec.zero, where: x .< Vec(repeating: -126))
}

/// 2^x for x ≤ 127 where the result is rounded to bfloat16: relative error at most 9e-5, a twentieth of what that rounding
/// adds; exactly 1 at 0; subnormal or 0 below −126, 0 for −∞; NaN for NaN. The polynomial is of the fraction in 0…1.
@inline(always) func coarseExp2(_ x: Vec) -> Vec {
    @inline(always) func power(_ fraction: Vec) -> Vec {
        let p = horner(fraction, horner(fraction, 0.0770670399, 0.227644995), 0.695116758)
        return horner(fraction, p, 1)
    }
    #if LVO_AVX512 && !LVO_AMX_MODEL
    return scaled_by_power(power(above_floor(x)), x)
    #else
    let shifted = x - 0.5 + roundingShift
    let scaled = float(bits(power(x - (shifted - roundingShift))) &+ (bits(shifted) &<< 23))
    return scaled.replacing(with: Vec.zero, where: x .< Vec(repeating: -126))
    #endif
}

/// e^x, at most 2 ulp; x is cut to −87…88, so that the result is never 0, subnormal or ∞; NaN for NaN.
/// x is reduced by n·ln 2 in two parts (the first with few bits, so that the product is exact).
@inline(always) func exp(_ x: Vec) -> Vec {
    let x = smaller(larger(x, Vec(repeating: -87)), Vec(repeating: 88))
    let shifted = multiplyAdd(x, Vec(repeating: 1.44269504), Vec(repeating: roundingShift))
    let n = shifted - roundingShift
    var rest = multiplyAdd(n, Vec(repeating: -0.693359375), x)
    rest = multiplyAdd(n, Vec(repeating: 2.12194440e-4), rest)
    let fraction = rest * 1.44269504
    return float(bits(exp2Fraction(fraction)) &+ (bits(shifted) &<< 23))
}

/// 1/(1 + e^−x), at most 4 ulp for x ≥ −87; for smaller x the value at −88, which is below 1e-38.
@inline(always) func sigmoid(_ x: Vec) -> Vec { 1 / (1 + exp(-x)) }

@inline(always) func silu(_ x: Vec) -> Vec { x * sigmoid(x) }

/// d/dx of x·σ(x) = σ + x·σ·(1 − σ).
@inline(always) func siluDerivative(_ x: Vec) -> Vec {
    let s = sigmoid(x)
    return multiplyAdd(x * s, 1 - s, s)
}

/// Normal distribution Φ(x) = (1 + erf(x/√2))/2 and e^(−x²/2); Φ's absolute error is at most 1.2e-7.
///
/// With w = x²/2: for w < 1, ½ + x·P(w); beyond, the tail t·Q(t)·e^−w with t = 1/(1 + 0.28|x|) (the form of Abramowitz
/// and Stegun 7.1.26 with more terms). One formula for all x loses two bits near 0; a rational function has no tail.
@inline(always) func normalDistribution(_ x: Vec) -> (cumulative: Vec, gaussian: Vec) {
    let w = x * x * 0.5
    let gaussian = exp(-w)
    var near = horner(w, 2.77675633e-05, -0.00028320302)
    near = horner(w, near, 0.00183435074)
    near = horner(w, near, -0.0094942562)
    near = horner(w, near, 0.0398934979)
    near = horner(w, near, -0.132980714)
    near = horner(w, near, 0.39894228)
    near = horner(x, near, 0.5)
    let t = 1 / horner(magnitude(x), 0.28, 1)
    var tail = horner(t, -0.0597798859, 0.132414156)
    tail = horner(t, tail, -0.00490472411)
    tail = horner(t, tail, 0.110865618)
    tail = horner(t, tail, 0.0972582879)
    tail = horner(t, tail, 0.112392307)
    tail = horner(t, tail, 0.111668993)
    tail = tail * t * gaussian
    let far = tail.replacing(with: 1 - tail, where: x .> Vec.zero)
    return (far.replacing(with: near, where: w .< Vec(repeating: 1)), gaussian)
}

/// d/dx of x·Φ(x) = Φ(x) + x·e^(−x²/2)/√(2π).
@inline(always) func geluErfDerivative(_ x: Vec) -> Vec {
    let (cumulative, gaussian) = normalDistribution(x)
    return multiplyAdd(x * 0.398942280, gaussian, cumulative)
}

/// d/dx of x·σ(1.702x).
@inline(always) func geluQuickDerivative(_ x: Vec) -> Vec {
    let s = sigmoid(x * 1.702)
    return multiplyAdd(x * 1.702 * s, 1 - s, s)
}
