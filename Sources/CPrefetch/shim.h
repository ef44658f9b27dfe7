// The one instruction that the kernels need and Swift cannot say: a hint to bring a cache line closer, which reads
// nothing, never faults, and is not waited for.

/// Brings the cache line at `address` to the second-level cache.
static inline void prefetch_line(const void *address) { __builtin_prefetch(address, 0, 2); }
