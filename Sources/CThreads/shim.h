// What a pool of threads needs and Swift cannot say, one line each.
#ifndef LVO_CTHREADS_H
#define LVO_CTHREADS_H
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/// Tells the core that this is a waiting loop: less power, and the other hyper-thread runs faster.
static inline void spin_hint(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb" ::: "memory");
#endif
}

/// Lets the calling thread run only on the CPUs of a bit mask of `bytes` bytes. 0, or -1 if the system refuses.
static inline long pin_this_thread(const unsigned long *mask, unsigned long bytes) {
    return syscall(SYS_sched_setaffinity, 0, bytes, mask);
}

/// Sends this process a signal when the thread that started it ends. 0, or -1 if the system refuses.
static inline int signal_at_end_of_parent(int signal) { return prctl(PR_SET_PDEATHSIG, signal); }
#endif
