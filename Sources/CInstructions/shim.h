// Instructions that Swift cannot say, or says in a call, one line each: Swift has no bfloat16, so vectors of it cross the border
// as vectors of pairs, the first of a pair in the low half of a 32-bit word; and it has no tiles, whose numbers are part of an
// instruction.
#ifndef LVO_CINSTRUCTIONS_H
#define LVO_CINSTRUCTIONS_H

#if defined(__x86_64__)
typedef float floats16 __attribute__((ext_vector_type(16)));
typedef unsigned pairs16 __attribute__((ext_vector_type(16)));

/// VUNPCKLPS, VUNPCKHPS, VUNPCKLPD, VUNPCKHPD: in each quarter of the vectors, the first (last) two numbers of a and b zipped,
/// or those of a before those of b. VSHUFF32X4: the even (odd) quarters of a before those of b. Swift's own shuffles become
/// two or three times as many instructions.
static inline floats16 zip_first(floats16 a, floats16 b) {
    return __builtin_shufflevector(a, b, 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29);
}
static inline floats16 zip_last(floats16 a, floats16 b) {
    return __builtin_shufflevector(a, b, 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31);
}
static inline floats16 join_first(floats16 a, floats16 b) {
    return __builtin_shufflevector(a, b, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29);
}
static inline floats16 join_last(floats16 a, floats16 b) {
    return __builtin_shufflevector(a, b, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31);
}
static inline floats16 even_quarters(floats16 a, floats16 b) {
    return __builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27);
}
static inline floats16 odd_quarters(floats16 a, floats16 b) {
    return __builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31);
}

/// VPERMT2PS: the lower (upper) halves of a and b zipped.
static inline floats16 zip_lower(floats16 a, floats16 b) {
    return __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}
static inline floats16 zip_upper(floats16 a, floats16 b) {
    return __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}
#endif

#if defined(__AVX512DQ__)
typedef float lvo_v16sf __attribute__((vector_size(64)));

/// VREDUCEPS: x − ⌊x⌋; 0 for ±∞.
static inline floats16 above_floor(floats16 x) {
    return (floats16)__builtin_ia32_reduceps512_mask((lvo_v16sf)x, 1, (lvo_v16sf)x, (unsigned short)-1, 4);
}

/// VSCALEFPS: a·2^⌊x⌋; 0 for x = −∞.
static inline floats16 scaled_by_power(floats16 a, floats16 x) {
    return (floats16)__builtin_ia32_scalefps512_mask((lvo_v16sf)a, (lvo_v16sf)x, (lvo_v16sf)a, (unsigned short)-1, 4);
}
#endif

#if defined(__AVX512BF16__)
typedef int integers16 __attribute__((ext_vector_type(16)));
typedef int lvo_v16si __attribute__((vector_size(64)));
typedef __bf16 lvo_v32bf __attribute__((vector_size(64)));
typedef short lvo_v32hi __attribute__((vector_size(64)));

/// VDPBF16PS: `sums + a.second·b.second + a.first·b.first` per lane.
static inline floats16 dot_bfloat16_pairs(floats16 sums, pairs16 a, pairs16 b) {
    return (floats16)__builtin_ia32_dpbf16ps_512((lvo_v16sf)sums, (lvo_v32bf)a, (lvo_v32bf)b);
}

/// VPERMW: halves of words, one of the first eight words and one of the last eight in turn.
static inline pairs16 interleave_halves(pairs16 words) {
    const lvo_v32hi order = {0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23,
                             8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
    return (pairs16)__builtin_ia32_permvarhi512((lvo_v32hi)words, order);
}

/// VPDPWSSD: `sums + a.first·b.first + a.second·b.second` per lane, of signed integers of 16 bits, summed in 32.
static inline integers16 dot_int16_pairs(integers16 sums, pairs16 a, pairs16 b) {
    return (integers16)__builtin_ia32_vpdpwssd512((lvo_v16si)sums, (lvo_v16si)a, (lvo_v16si)b);
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

#if defined(__x86_64__)
/// What LDTILECFG reads: palette 1, eight tiles of 16 rows of 64 bytes. Byte 0 is the palette, 16-bit words from byte 16 on
/// are bytes per row, bytes from 48 on are rows.
static const unsigned char tile_configuration[64] = {
    1, [16] = 64, [18] = 64, [20] = 64, [22] = 64, [24] = 64, [26] = 64, [28] = 64, [30] = 64,
    [48] = 16, 16, 16, 16, 16, 16, 16, 16};
#endif

#if defined(__AMX_BF16__)
/// LDTILECFG, TILERELEASE: from the first to the second the calling thread has tiles, all zero at first.
static inline void tile_configure(void) { __builtin_ia32_tile_loadconfig(tile_configuration); }
static inline void tile_release(void) { __builtin_ia32_tilerelease(); }

/// TILELOADD, TILESTORED, TILEZERO of tile n, whose rows lie `stride` bytes apart in memory.
#define LVO_TILE(n) \
    static inline void tile_load_##n(const void *rows, long stride) { __builtin_ia32_tileloadd64(n, rows, stride); } \
    static inline void tile_store_##n(void *rows, long stride) { __builtin_ia32_tilestored64(n, rows, stride); } \
    static inline void tile_zero_##n(void) { __builtin_ia32_tilezero(n); }
LVO_TILE(0) LVO_TILE(1) LVO_TILE(2) LVO_TILE(3) LVO_TILE(4) LVO_TILE(5) LVO_TILE(6) LVO_TILE(7)

/// TDPBF16PS: `sums[i][j] += Σ_p a[i][p].first·b[p][j].first + a[i][p].second·b[p][j].second`, 16 pairs p, tiles by number.
#define LVO_TILE_DOT(sums, a, b) \
    static inline void tile_dot_##sums##_##a##_##b(void) { __builtin_ia32_tdpbf16ps(sums, a, b); }
LVO_TILE_DOT(0, 4, 6) LVO_TILE_DOT(1, 4, 7) LVO_TILE_DOT(2, 5, 6) LVO_TILE_DOT(3, 5, 7)
#endif

#if defined(LVO_AMX_MODEL)
/// The calling thread's eight tiles, configuration and state for Sources/Kernels/TileModel.swift.
static inline unsigned *tile_model_words(void) { static _Thread_local unsigned words[8 * 256 + 17]; return words; }
#endif

#if defined(__x86_64__) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>

/// arch_prctl(ARCH_REQ_XCOMP_PERM, XTILEDATA): asks Linux for room for tiles in this process; 0 if it is granted.
static inline long request_tile_permission(void) { return syscall(SYS_arch_prctl, 0x1023, 18); }

/// XGETBV: the parts of the CPU's state that the operating system saves. Only where CPUID reports OSXSAVE.
static inline unsigned long enabled_cpu_state(void) {
    unsigned low, high;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (unsigned long)high << 32 | low;
}
#endif
#endif
