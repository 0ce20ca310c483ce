#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Every function reads and writes exactly what its arguments say. Buffers need no alignment. zstd's
// own types stay out of this header.

/// The most bytes that packing so many bytes without loss can give.
size_t tessera_pack_bound(size_t byte_count);
/// Puts the bytes of elements of `width` bytes plane by plane into `planes`, of `byte_count` bytes,
/// and compresses that into `packed`; gives the bytes written, 0 if there is no room or no memory.
size_t tessera_pack(
    const void *values, size_t byte_count, size_t width, void *planes, void *packed, size_t room);
/// Undoes `tessera_pack`; false unless the packed bytes give exactly `byte_count` bytes.
bool tessera_unpack(
    const void *packed, size_t packed_count, void *planes, size_t byte_count, size_t width,
    void *values);

/// 32-bit floats to 16-bit ones, to the nearest; false if a finite value has no finite one.
bool tessera_to_float16(const void *values, size_t count, void *packed);
/// Back to 32 bits, exactly.
void tessera_from_float16(const void *packed, size_t count, void *values);
/// 32-bit floats to their upper halves, to the nearest; false if a finite value has no finite one.
bool tessera_to_bfloat16(const void *values, size_t count, void *packed);
/// Back to 32 bits, exactly.
void tessera_from_bfloat16(const void *packed, size_t count, void *values);

/// The bytes that `groups` times `count` values take as 8-bit codes with a scale for each group.
size_t tessera_int8_size(size_t groups, size_t count);
/// 32-bit floats to 8-bit codes: scales, codes of zero, then the codes of all values, group by
/// group; false if a value is not finite or a range is too wide.
bool tessera_to_int8(const void *values, size_t groups, size_t count, void *packed);
/// Back to 32 bits; false if a scale is not one that packing gives.
bool tessera_from_int8(const void *packed, size_t groups, size_t count, void *values);
