// Instructions on vectors that Swift cannot say, one line each: Swift has no bfloat16, so vectors of it cross the border as
// vectors of pairs, the first of a pair in the low half of a 32-bit word.
#ifndef LVO_CINSTRUCTIONS_H
#define LVO_CINSTRUCTIONS_H

#if defined(__AVX512BF16__)
typedef float floats16 __attribute__((ext_vector_type(16)));
typedef unsigned pairs16 __attribute__((ext_vector_type(16)));
typedef float lvo_v16sf __attribute__((vector_size(64)));
typedef __bf16 lvo_v32bf __attribute__((vector_size(64)));

/// VDPBF16PS: `sums + a.second·b.second + a.first·b.first` per lane.
static inline floats16 dot_bfloat16_pairs(floats16 sums, pairs16 a, pairs16 b) {
    return (floats16)__builtin_ia32_dpbf16ps_512((lvo_v16sf)sums, (lvo_v32bf)a, (lvo_v32bf)b);
}

/// VCVTNE2PS2BF16: 32 floats rounded to bfloat16, those of `first` before those of `second`.
static inline pairs16 narrow_to_bfloat16(floats16 first, floats16 second) {
    return (pairs16)__builtin_ia32_cvtne2ps2bf16_512((lvo_v16sf)second, (lvo_v16sf)first);
}
#endif
#endif
