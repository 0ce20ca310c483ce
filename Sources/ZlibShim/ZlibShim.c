#include "ZlibShim.h"

#include <limits.h>
#include <stdlib.h>
#include <zlib.h>

struct tessera_zlib {
    z_stream stream;
    bool inflates;
};

// The largest window; 16 more stand for gzip's header.
static int window_bits(bool is_gzip) { return is_gzip ? 15 + 16 : 15; }

static tessera_zlib *make(bool inflates, bool is_gzip) {
    tessera_zlib *stream = calloc(1, sizeof *stream);
    if (stream == NULL) return NULL;
    stream->inflates = inflates;
    int status = inflates
        ? inflateInit2(&stream->stream, window_bits(is_gzip))
        : deflateInit2(&stream->stream, Z_BEST_SPEED, Z_DEFLATED, window_bits(is_gzip), 8,
                       Z_DEFAULT_STRATEGY);
    if (status == Z_OK) return stream;
    free(stream);
    return NULL;
}

tessera_zlib *tessera_zlib_inflater(bool is_gzip) { return make(true, is_gzip); }

tessera_zlib *tessera_zlib_deflater(bool is_gzip) { return make(false, is_gzip); }

void tessera_zlib_free(tessera_zlib *stream) {
    if (stream->inflates) {
        inflateEnd(&stream->stream);
    } else {
        deflateEnd(&stream->stream);
    }
    free(stream);
}

bool tessera_zlib_restart(tessera_zlib *stream) {
    return (stream->inflates ? inflateReset(&stream->stream) : deflateReset(&stream->stream)) == Z_OK;
}

static uInt cut(size_t count) { return count > UINT_MAX ? UINT_MAX : (uInt)count; }

tessera_zlib_status tessera_zlib_step(
    tessera_zlib *stream, const uint8_t *given, size_t given_count, uint8_t *room,
    size_t room_count, bool finish, size_t *taken, size_t *written) {
    z_stream *state = &stream->stream;
    uInt given_now = cut(given_count), room_now = cut(room_count);
    state->next_in = (Bytef *)given;
    state->avail_in = given_now;
    state->next_out = room;
    state->avail_out = room_now;
    // Only when all is given may the end be written.
    int flush = finish && given_now == given_count ? Z_FINISH : Z_NO_FLUSH;
    int status = stream->inflates ? inflate(state, Z_NO_FLUSH) : deflate(state, flush);
    *taken = given_now - state->avail_in;
    *written = room_now - state->avail_out;
    switch (status) {
    case Z_STREAM_END: return tessera_zlib_end;
    // A step without progress is no error: there was nothing to take or no room.
    case Z_OK:
    case Z_BUF_ERROR: return tessera_zlib_more;
    default: return tessera_zlib_failed;
    }
}
