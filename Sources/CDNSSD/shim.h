#pragma once

#include <dns_sd.h>

#if defined(__linux__)
#include <avahi-common/malloc.h>
#include <stdlib.h>

static inline void *tessera_zeroing_malloc(size_t size) { return calloc(1, size); }

/// Makes Avahi's libraries allocate zeroed memory. To be called before the first dns_sd call.
///
/// Avahi 0.8 leaves the callback members of a new DNSServiceRef uninitialised and jumps through
/// them when the daemon stops while a resolver or a record query is open (fixed upstream, not in
/// every distribution). Zeroed memory makes these members NULL, which the library checks.
static inline void tessera_install_zeroing_allocator(void) {
    static const AvahiAllocator allocator = {
        .malloc = tessera_zeroing_malloc,
        .free = free,
        .realloc = realloc,
        .calloc = calloc,
    };
    avahi_set_allocator(&allocator);
}
#else
static inline void tessera_install_zeroing_allocator(void) {}
#endif
