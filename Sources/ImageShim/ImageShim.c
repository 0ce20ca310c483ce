#include "ImageShim.h"

#include <limits.h>
#include <png.h>
#include <stdio.h>
#include <string.h>
#include <turbojpeg.h>

static bool is_png(const uint8_t *bytes, size_t count) {
    return count >= 8 && memcmp(bytes, "\x89PNG\r\n\x1a\n", 8) == 0;
}

static bool is_jpeg(const uint8_t *bytes, size_t count) {
    return count >= 3 && memcmp(bytes, "\xff\xd8\xff", 3) == 0;
}

static tessera_image_status damaged(char *error, const char *reason) {
    snprintf(error, TESSERA_IMAGE_ERROR_BYTES, "%s", reason);
    return tessera_image_damaged;
}

/// Reads a PNG image: only its size if `pixels` is null.
static tessera_image_status read_png(
    const uint8_t *bytes, size_t count, size_t *width, size_t *height, uint8_t *pixels,
    char *error) {
    png_image image;
    memset(&image, 0, sizeof image);
    image.version = PNG_IMAGE_VERSION;
    if (!png_image_begin_read_from_memory(&image, bytes, count)) {
        return damaged(error, image.message);
    }
    tessera_image_status status = tessera_image_ok;
    if (pixels == NULL) {
        *width = image.width;
        *height = image.height;
    } else if (image.width != *width || image.height != *height) {
        status = damaged(error, "its size is not the one that was read");
    } else {
        const png_color black = {0, 0, 0};
        image.format = PNG_FORMAT_RGB;
        if (!png_image_finish_read(&image, &black, pixels, 0, NULL)) {
            status = damaged(error, image.message);
        }
    }
    png_image_free(&image);
    return status;
}

/// Reads a JPEG image: only its size if `pixels` is null.
static tessera_image_status read_jpeg(
    const uint8_t *bytes, size_t count, size_t *width, size_t *height, uint8_t *pixels,
    char *error) {
    tjhandle handle = tjInitDecompress();
    if (handle == NULL) return damaged(error, "there is no memory for it");
    int wide = 0, high = 0, subsampling = 0, colours = 0;
    tessera_image_status status = tessera_image_ok;
    if (tjDecompressHeader3(handle, bytes, count, &wide, &high, &subsampling, &colours) != 0) {
        status = damaged(error, tjGetErrorStr2(handle));
    } else if (colours == TJCS_CMYK || colours == TJCS_YCCK) {
        status = damaged(error, "its colours are for printing (CMYK)");
    } else if (pixels == NULL) {
        *width = (size_t)wide;
        *height = (size_t)high;
    } else if ((size_t)wide != *width || (size_t)high != *height) {
        status = damaged(error, "its size is not the one that was read");
    } else if (
        // A file that is cut off is one that the library only warns of. Few scans are enough for any
        // picture, and many are an attack.
        tjDecompress2(
            handle, bytes, count, pixels, wide, 0, high, TJPF_RGB,
            TJFLAG_ACCURATEDCT | TJFLAG_STOPONWARNING | TJFLAG_LIMITSCANS) != 0) {
        status = damaged(error, tjGetErrorStr2(handle));
    }
    tjDestroy(handle);
    return status;
}

static tessera_image_status read_image(
    const uint8_t *bytes, size_t count, size_t *width, size_t *height, uint8_t *pixels,
    char *error) {
    error[0] = 0;
    if (is_png(bytes, count)) return read_png(bytes, count, width, height, pixels, error);
    if (is_jpeg(bytes, count)) return read_jpeg(bytes, count, width, height, pixels, error);
    return tessera_image_unknown;
}

tessera_image_status tessera_image_size(
    const uint8_t *bytes, size_t count, size_t *width, size_t *height, char *error) {
    return read_image(bytes, count, width, height, NULL, error);
}

tessera_image_status tessera_image_decode(
    const uint8_t *bytes, size_t count, size_t width, size_t height, uint8_t *pixels,
    char *error) {
    return read_image(bytes, count, &width, &height, pixels, error);
}
