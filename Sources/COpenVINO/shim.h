#pragma once

#include <openvino/c/openvino.h>
#if defined(__GLIBC__)
#include <malloc.h>
#include <stdlib.h>
#endif
#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

/// Names the widest vector instructions that this processor offers and that change how the engine
/// computes in 32-bit floating point.
static inline const char *_Nonnull tessera_instruction_set(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
        && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq")) {
        return "x86-64 avx512";
    }
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        return "x86-64 avx2";
    }
    if (__builtin_cpu_supports("avx")) {
        return "x86-64 avx";
    }
    return "x86-64 sse";
#elif defined(__aarch64__) && defined(__linux__)
    return getauxval(AT_HWCAP) & (1ul << 22) ? "arm64 sve" : "arm64 neon";
#elif defined(__aarch64__)
    return "arm64 neon";
#else
    return "generic";
#endif
}

/// Gives the pages that the C library's allocator keeps, and that nothing is in, back to the system.
static inline void tessera_give_back_free_memory(void) {
#if defined(__GLIBC__)
    malloc_trim(0);
#endif
}

/// Sets how many heaps the C library's allocator makes for the threads of this process, unless the
/// environment does.
static inline void tessera_limit_heaps(int count) {
#if defined(__GLIBC__)
    if (getenv("MALLOC_ARENA_MAX") == NULL) {
        mallopt(M_ARENA_MAX, count);
    }
#else
    (void)count;
#endif
}
