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

#if defined(__ARM_FEATURE_BF16_VECTOR_ARITHMETIC)
#include <arm_neon.h>
typedef float floats4 __attribute__((ext_vector_type(4)));
typedef unsigned pairs4 __attribute__((ext_vector_type(4)));

/// BFMMLA: a 2×2 block of sums, row by row, plus two rows of a times two columns of b; four numbers of a row (column), then
/// four of the next.
static inline floats4 add_bfloat16_blocks(floats4 sums, pairs4 a, pairs4 b) {
    return (floats4)vbfmmlaq_f32((float32x4_t)sums, (bfloat16x8_t)a, (bfloat16x8_t)b);
}

/// BFCVTN, BFCVTN2: eight floats rounded to bfloat16, those of `first` before those of `second`.
static inline pairs4 narrow_to_bfloat16(floats4 first, floats4 second) {
    return (pairs4)vcvtq_high_bf16_f32(vcvtq_low_bf16_f32((float32x4_t)first), (float32x4_t)second);
}
#endif

#if defined(__aarch64__)
/// The C library's: a word of what the kernel tells a process at its start. Swift's module of the library has no <sys/auxv.h>.
unsigned long getauxval(unsigned long type);
#endif
#endif
