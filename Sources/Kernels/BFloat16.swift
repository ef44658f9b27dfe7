// Pairs of bfloat16 in 32-bit words, by the CPU's instructions where this build has them, else by integer operations that
// round the same way.

#if LVO_AVX512BF16 || LVO_NEONBF16
import CInstructions

/// 2·lanes consecutive floats, rounded, as `lanes` pairs of neighbours.
@inline(always) func neighbourPairs(_ first: Vec, _ second: Vec) -> PairVec {
    #if LVO_NEONBF16
    narrow_to_bfloat16(normal(first), normal(second))
    #else
    narrow_to_bfloat16(first, second)
    #endif
}

/// Lane by lane the pair (low, high).
@inline(always) func lanePairs(_ low: Vec, _ high: Vec) -> PairVec {
    #if LVO_NEONBF16
    let numbers = unsafeBitCast(neighbourPairs(low, high), to: SIMD8<UInt16>.self)
    var pairs = SIMD8<UInt16>.zero
    pairs.evenHalf = numbers.lowHalf
    pairs.oddHalf = numbers.highHalf
    return unsafeBitCast(pairs, to: PairVec.self)
    #else
    interleave_halves(neighbourPairs(low, high))
    #endif
}

#if LVO_NEONBF16
/// Zero in place of numbers below the least normal one: BFCVTN keeps them, BFMMLA takes them for zero.
@inline(always) func normal(_ values: Vec) -> Vec {
    let signs = unsafeBitCast(unsafeBitCast(values, to: PairVec.self) & 0x8000_0000, to: Vec.self)
    return values.replacing(with: signs, where: magnitude(values) .< Vec(repeating: Float.leastNormalMagnitude))
}
#endif
#else
/// 2·lanes consecutive floats, rounded, as `lanes` pairs of neighbours.
@inline(always) func neighbourPairs(_ first: Vec, _ second: Vec) -> PairVec { neighbours(rounded(first), rounded(second)) }

/// Lane by lane the pair (low, high).
@inline(always) func lanePairs(_ low: Vec, _ high: Vec) -> PairVec { rounded(low) | rounded(high) &<< 16 }
#endif

/// The low halves of 2·lanes consecutive words as `lanes` pairs of neighbours.
@inline(always) func neighbours(_ first: PairVec, _ second: PairVec) -> PairVec {
    var even = PairVec.zero, odd = PairVec.zero
    even.lowHalf = first.evenHalf
    even.highHalf = second.evenHalf
    odd.lowHalf = first.oddHalf
    odd.highHalf = second.oddHalf
    return even & 0xFFFF | odd &<< 16
}

/// The nearest bfloat16 of each lane, in the low half of a word: `rounded` of one number, lane by lane.
@inline(always) func rounded(_ values: Vec) -> PairVec {
    let bits = unsafeBitCast(values, to: PairVec.self)
    let magnitude = bits & 0x7FFF_FFFF
    var result = (bits &+ 0x7FFF &+ (bits &>> 16 & 1)) &>> 16
    result.replace(with: bits &>> 16 & 0x8000, where: magnitude .< 0x80_0000)
    result.replace(with: bits &>> 16 | 0x40, where: magnitude .> 0x7F80_0000)
    return result
}

/// The nearest bfloat16, ties to even; zero below the normal numbers, a quiet NaN for any NaN.
@inline(always) func rounded(_ value: Float) -> UInt32 {
    let bits = value.bitPattern
    switch bits & 0x7FFF_FFFF {
    case ..<0x80_0000: return bits >> 16 & 0x8000
    case 0x7F80_0001...: return bits >> 16 | 0x40
    default: return (bits &+ 0x7FFF &+ (bits >> 16 & 1)) >> 16
    }
}

/// The first and the second numbers of pairs, in float32.
@inline(always) func lowHalves(_ pairs: PairVec) -> Vec { unsafeBitCast(pairs &<< 16, to: Vec.self) }
@inline(always) func highHalves(_ pairs: PairVec) -> Vec { unsafeBitCast(pairs & 0xFFFF_0000, to: Vec.self) }

extension UInt32: OperandWord {
    @inline(always) static func vector(_ words: UnsafePointer<UInt32>) -> PairVec {
        UnsafeRawPointer(words).loadUnaligned(as: PairVec.self)
    }

    @inline(always) static func repeated(_ word: UInt32) -> PairVec { PairVec(repeating: word) }
    #if arch(arm64)
    @inline(always) static func repeated(_ words: PairVec, lane: Int) -> PairVec { PairVec(repeating: words[lane]) }
    #endif

    @inline(always) static func product(_ a: PairVec, _ b: PairVec, _ c: Vec) -> Vec {
        #if LVO_AVX512BF16
        dot_bfloat16_pairs(c, a, b)
        #else
        multiplyAdd(lowHalves(a), lowHalves(b), multiplyAdd(highHalves(a), highHalves(b), c))
        #endif
    }

    @inline(always) static var terms: Int { 2 }
    @inline(always) static func power(_ x: Vec) -> Vec { coarseExp2(x) }
    /// bfloat16 is as exact for powers up to 2⁸ as for those up to 1.
    @inline(always) static var headroom: Float { 8 }
    @inline(always) static func joined(_ low: Vec, _ high: Vec) -> Vec {
        unsafeBitCast(lanePairs(low, high), to: Vec.self)
    }

    @inline(always) static func row(
        _ numbers: UnsafePointer<Float>, _ first: Int, _ width: Int, _ factor: Float
    ) -> Vec {
        let (source, rest) = (numbers + 2 * first, width - 2 * first)
        let left = rest >= lanes ? source.vec(0) : partialRow(source, rest)
        let right = rest >= 2 * lanes ? source.vec(lanes) : partialRow(source + lanes, Swift.max(0, rest - lanes))
        return unsafeBitCast(neighbourPairs(left * factor, right * factor), to: Vec.self)
    }
}
