#include "CodecShim.h"

#include <math.h>
#include <string.h>
#include <zstd.h>

// The loops have no branches and no calls, so that compilers make vector instructions of them, and
// the same values come out on every processor.

static inline uint32_t bits_at(const uint8_t *bytes, size_t index) {
    uint32_t bits;
    memcpy(&bits, bytes + 4 * index, 4);
    return bits;
}

static inline void set_bits(uint8_t *bytes, size_t index, uint32_t bits) {
    memcpy(bytes + 4 * index, &bits, 4);
}

static inline float as_float(uint32_t bits) {
    float value;
    memcpy(&value, &bits, 4);
    return value;
}

static inline uint32_t as_bits(float value) {
    uint32_t bits;
    memcpy(&bits, &value, 4);
    return bits;
}

// MARK: Lossless

// The quickest level with entropy coding: sorted exponents compress by that, mantissas by nothing.
static const int level = 1;

static void split(
    const uint8_t *restrict values, uint8_t *restrict planes, size_t count, size_t width
) {
    if (width == 4) {
        for (size_t i = 0; i < count; i++) {
            planes[i] = values[4 * i];
            planes[count + i] = values[4 * i + 1];
            planes[2 * count + i] = values[4 * i + 2];
            planes[3 * count + i] = values[4 * i + 3];
        }
        return;
    }
    for (size_t plane = 0; plane < width; plane++) {
        for (size_t i = 0; i < count; i++) planes[plane * count + i] = values[width * i + plane];
    }
}

static void join(
    const uint8_t *restrict planes, uint8_t *restrict values, size_t count, size_t width
) {
    if (width == 4) {
        for (size_t i = 0; i < count; i++) {
            values[4 * i] = planes[i];
            values[4 * i + 1] = planes[count + i];
            values[4 * i + 2] = planes[2 * count + i];
            values[4 * i + 3] = planes[3 * count + i];
        }
        return;
    }
    for (size_t plane = 0; plane < width; plane++) {
        for (size_t i = 0; i < count; i++) values[width * i + plane] = planes[plane * count + i];
    }
}

size_t tessera_pack_bound(size_t byte_count) { return ZSTD_compressBound(byte_count); }

size_t tessera_pack(
    const void *values, size_t byte_count, size_t width, void *planes, void *packed, size_t room
) {
    if (width == 0 || byte_count % width != 0) return 0;
    split(values, planes, byte_count / width, width);
    size_t written = ZSTD_compress(packed, room, planes, byte_count, level);
    return ZSTD_isError(written) ? 0 : written;
}

bool tessera_unpack(
    const void *packed, size_t packed_count, void *planes, size_t byte_count, size_t width,
    void *values
) {
    if (width == 0 || byte_count % width != 0) return false;
    // One frame that says its size, and nothing behind it.
    if (ZSTD_getFrameContentSize(packed, packed_count) != byte_count) return false;
    if (ZSTD_findFrameCompressedSize(packed, packed_count) != packed_count) return false;
    size_t written = ZSTD_decompress(planes, byte_count, packed, packed_count);
    if (ZSTD_isError(written) || written != byte_count) return false;
    join(planes, values, byte_count / width, width);
    return true;
}

// MARK: Narrower floats

bool tessera_to_float16(const void *values, size_t count, void *packed) {
    const uint8_t *restrict from = values;
    uint8_t *restrict to = packed;
    uint32_t lost = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t bits = bits_at(from, i);
        uint32_t sign = (bits >> 16) & 0x8000;
        uint32_t size = bits & 0x7fffffff;
        // Exponents are 112 lower; what is cut off rounds to the nearest, halves to even.
        uint32_t normal = (size - 0x38000000 + 0xfff + ((size >> 13) & 1)) >> 13;
        // Adding a half puts a small value where the last bits of a float16's fraction are.
        uint32_t small = as_bits(as_float(size) + 0.5f) - as_bits(0.5f);
        uint32_t special = 0x7c00 | (size > 0x7f800000 ? 0x200 : 0);
        uint32_t half = size < 0x38800000 ? small : normal;
        half = size >= 0x7f800000 ? special : half;
        lost |= (uint32_t)(size >= 0x477ff000) & (uint32_t)(size < 0x7f800000);
        uint16_t result = (uint16_t)(sign | half);
        memcpy(to + 2 * i, &result, 2);
    }
    return lost == 0;
}

void tessera_from_float16(const void *packed, size_t count, void *values) {
    const uint8_t *restrict from = packed;
    uint8_t *restrict to = values;
    for (size_t i = 0; i < count; i++) {
        uint16_t half;
        memcpy(&half, from + 2 * i, 2);
        uint32_t size = half & 0x7fff;
        uint32_t bits = as_bits(as_float(size << 13) * 0x1p112f);
        bits = size >= 0x7c00 ? (size << 13) | 0x7f800000 : bits;
        set_bits(to, i, bits | (uint32_t)(half & 0x8000) << 16);
    }
}

bool tessera_to_bfloat16(const void *values, size_t count, void *packed) {
    const uint8_t *restrict from = values;
    uint8_t *restrict to = packed;
    uint32_t lost = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t bits = bits_at(from, i);
        uint32_t size = bits & 0x7fffffff;
        uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
        uint32_t special = (bits >> 16) | (size > 0x7f800000 ? 0x40 : 0);
        lost |= (uint32_t)(size >= 0x7f7f8000) & (uint32_t)(size < 0x7f800000);
        uint16_t result = (uint16_t)(size >= 0x7f800000 ? special : rounded);
        memcpy(to + 2 * i, &result, 2);
    }
    return lost == 0;
}

void tessera_from_bfloat16(const void *packed, size_t count, void *values) {
    const uint8_t *restrict from = packed;
    uint8_t *restrict to = values;
    for (size_t i = 0; i < count; i++) {
        uint16_t upper;
        memcpy(&upper, from + 2 * i, 2);
        set_bits(to, i, (uint32_t)upper << 16);
    }
}

// MARK: 8-bit codes

enum { lanes = 16 };

// A code times a larger scale would not be finite.
static const float scale_max = 0x1p119f;

size_t tessera_int8_size(size_t groups, size_t count) { return groups * 5 + groups * count; }

/// The least and the greatest value and zero; false if a value is not finite.
static bool range_of(const uint8_t *values, size_t count, float *least, float *greatest) {
    float low[lanes] = {0}, high[lanes] = {0};
    uint32_t odd[lanes] = {0};
    size_t i = 0;
    for (; i + lanes <= count; i += lanes) {
        for (size_t lane = 0; lane < lanes; lane++) {
            uint32_t bits = bits_at(values, i + lane);
            float value = as_float(bits);
            low[lane] = value < low[lane] ? value : low[lane];
            high[lane] = value > high[lane] ? value : high[lane];
            odd[lane] |= (uint32_t)((bits & 0x7f800000) == 0x7f800000);
        }
    }
    for (; i < count; i++) {
        uint32_t bits = bits_at(values, i);
        float value = as_float(bits);
        low[0] = value < low[0] ? value : low[0];
        high[0] = value > high[0] ? value : high[0];
        odd[0] |= (uint32_t)((bits & 0x7f800000) == 0x7f800000);
    }
    *least = 0;
    *greatest = 0;
    uint32_t any = 0;
    for (size_t lane = 0; lane < lanes; lane++) {
        *least = low[lane] < *least ? low[lane] : *least;
        *greatest = high[lane] > *greatest ? high[lane] : *greatest;
        any |= odd[lane];
    }
    return any == 0;
}

bool tessera_to_int8(const void *values, size_t groups, size_t count, void *packed) {
    uint8_t *scales = packed;
    uint8_t *zeros = scales + 4 * groups;
    uint8_t *codes = zeros + groups;
    for (size_t group = 0; group < groups; group++) {
        const uint8_t *restrict from = (const uint8_t *)values + 4 * group * count;
        uint8_t *restrict to = codes + group * count;
        float least, greatest;
        if (!range_of(from, count, &least, &greatest)) return false;
        float scale = (float)(((double)greatest - (double)least) / 255);
        // Of what is smaller, the inverse would not be finite: it counts as zero.
        if (scale < 0x1p-120f) scale = 0;
        if (scale > scale_max) return false;
        float inverse = scale > 0 ? 1 / scale : 0;
        float zero = floorf(-least * inverse + 0.5f);
        zero = zero > 255 ? 255 : zero;
        for (size_t i = 0; i < count; i++) {
            float code = as_float(bits_at(from, i)) * inverse + (zero + 0.5f);
            code = code < 0 ? 0 : code;
            code = code > 255 ? 255 : code;
            to[i] = (uint8_t)(int32_t)code;
        }
        memcpy(scales + 4 * group, &scale, 4);
        zeros[group] = (uint8_t)zero;
    }
    return true;
}

bool tessera_from_int8(const void *packed, size_t groups, size_t count, void *values) {
    const uint8_t *scales = packed;
    const uint8_t *zeros = scales + 4 * groups;
    const uint8_t *codes = zeros + groups;
    for (size_t group = 0; group < groups; group++) {
        float scale;
        memcpy(&scale, scales + 4 * group, 4);
        // Written so that it does not hold for what is no number.
        if (!(scale >= 0 && scale <= scale_max)) return false;
        int32_t zero = zeros[group];
        const uint8_t *restrict from = codes + group * count;
        uint8_t *restrict to = (uint8_t *)values + 4 * group * count;
        for (size_t i = 0; i < count; i++) {
            set_bits(to, i, as_bits((float)((int32_t)from[i] - zero) * scale));
        }
    }
    return true;
}
