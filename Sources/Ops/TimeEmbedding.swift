#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// The sinusoidal embedding of a time step, as diffusers' `get_timestep_embedding`: with half = dimensions/2 and
/// ωᵢ = exp(−ln(10000)·i/(half − freqShift)), `[sin(t·ω) | cos(t·ω)]`, or `[cos | sin]` when `flipSinToCos`; an odd
/// dimension ends with a zero. Float32 throughout, as there: at t = 999 the sine's argument is rounded to 6e-5.
public func timeEmbedding(timestep: Float, dimensions: Int, flipSinToCos: Bool, freqShift: Float) -> [Float] {
    precondition(dimensions > 1, "time embedding of \(dimensions) dimensions")
    let half = dimensions / 2
    let angles = (0..<half).map { i -> Float in
        let exponent = Float(-log(10000.0)) * Float(i) / (Float(half) - freqShift)
        return timestep * expf(exponent)
    }
    let (sines, cosines) = (angles.map { sinf($0) }, angles.map { cosf($0) })
    let padding = [Float](repeating: 0, count: dimensions - 2 * half)
    return (flipSinToCos ? cosines + sines : sines + cosines) + padding
}
