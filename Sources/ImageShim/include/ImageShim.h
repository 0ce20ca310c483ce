#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// Bytes of an error text, its end included: what the libraries say is shorter.
#define TESSERA_IMAGE_ERROR_BYTES 256

/// What came of reading an image.
typedef enum {
    tessera_image_ok = 0,
    /// The bytes are neither of a PNG nor of a JPEG file.
    tessera_image_unknown = 1,
    /// The file is damaged, or of a kind that cannot be turned into red, green and blue.
    tessera_image_damaged = 2,
} tessera_image_status;

/// Reads the size of a PNG or JPEG image. `error` has room for TESSERA_IMAGE_ERROR_BYTES.
tessera_image_status tessera_image_size(
    const uint8_t *bytes, size_t count, size_t *width, size_t *height, char *error);

/// Decodes an image of the size that `tessera_image_size` gave into `width * height * 3` bytes: rows
/// from the top, red, green and blue of each pixel. What is transparent is black.
tessera_image_status tessera_image_decode(
    const uint8_t *bytes, size_t count, size_t width, size_t height, uint8_t *pixels, char *error);
