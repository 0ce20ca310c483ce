#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// What came of a step.
typedef enum {
    /// There may be more: of what was given, or of what comes out.
    tessera_zlib_more = 0,
    /// The compressed bytes are at their end.
    tessera_zlib_end = 1,
    /// The bytes are not of the format, or there is no memory.
    tessera_zlib_failed = 2,
} tessera_zlib_status;

/// A stream that compresses or inflates. zlib's own types stay out of this header: other packages
/// that import zlib would claim them.
typedef struct tessera_zlib tessera_zlib;

/// Begins to inflate; NULL if there is no memory. The format is gzip's or zlib's own.
tessera_zlib *tessera_zlib_inflater(bool is_gzip);
/// Begins to compress as quickly as possible; NULL if there is no memory.
tessera_zlib *tessera_zlib_deflater(bool is_gzip);
/// Ends a stream.
void tessera_zlib_free(tessera_zlib *stream);
/// Begins anew with the next compressed bytes behind the end of the last ones.
bool tessera_zlib_restart(tessera_zlib *stream);

/// Takes from `given` bytes, writes up to `room` bytes, and says how many of each.
///
/// With `finish` no more bytes will be given, which only a deflater needs to know.
tessera_zlib_status tessera_zlib_step(
    tessera_zlib *stream, const uint8_t *given, size_t given_count, uint8_t *room,
    size_t room_count, bool finish, size_t *taken, size_t *written);
