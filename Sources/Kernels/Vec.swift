// One vector register of the instruction set this build is for. The folder is compiled once per set; LVO_AVX2,
// LVO_AVX512, and beside it LVO_AVX512BF16 and LVO_AMX, and LVO_NEONBF16 are defined by Package.swift together with the
// matching -march.

#if LVO_AVX512
typealias Vec = SIMD16<Float>
typealias IntVec = SIMD16<Int32>
typealias PairVec = SIMD16<UInt32>
typealias HalfVec = SIMD16<Float16>
typealias HalfBits = SIMD16<UInt16>
#elseif LVO_AVX2
typealias Vec = SIMD8<Float>
typealias IntVec = SIMD8<Int32>
typealias PairVec = SIMD8<UInt32>
typealias HalfVec = SIMD8<Float16>
typealias HalfBits = SIMD8<UInt16>
#else
typealias Vec = SIMD4<Float>
typealias IntVec = SIMD4<Int32>
typealias PairVec = SIMD4<UInt32>
typealias HalfVec = SIMD4<Float16>
typealias HalfBits = SIMD4<UInt16>
#endif

/// Floats per vector register.
@inline(__always) var lanes: Int { Vec.scalarCount }

extension UnsafePointer<Float> {
    /// The vector at element `index`; no alignment needed.
    @inline(__always) func vec(_ index: Int) -> Vec {
        UnsafeRawPointer(self + index).loadUnaligned(as: Vec.self)
    }
}

extension UnsafeMutablePointer<Float> {
    /// The vector at element `index`; no alignment needed.
    @inline(__always) func vec(_ index: Int) -> Vec {
        UnsafeRawPointer(self + index).loadUnaligned(as: Vec.self)
    }

    @inline(__always) func store(_ value: Vec, _ index: Int) {
        UnsafeMutableRawPointer(self + index).storeBytes(of: value, as: Vec.self)
    }
}

/// a·b + c. Fused where the instruction set has it; without FMA `addProduct` would call `fmaf` once per lane.
@inline(__always) func multiplyAdd(_ a: Vec, _ b: Vec, _ c: Vec) -> Vec {
    #if LVO_AVX2 || LVO_AVX512 || arch(arm64)
    c.addingProduct(a, b)
    #else
    c + a * b
    #endif
}
