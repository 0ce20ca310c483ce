#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// The one thing that OpenVINO offers in C++ only: reading a model of any kind and writing it as
/// clean OpenVINO IR.
///
/// Rules of every function here: no exception leaves it, a failing call leaves nothing behind, and
/// the text of an error is owned by the caller, who gives it back to `tessera_free_text`.

/// The static shape that the caller wants one input of a model to have.
typedef struct {
    /// Any name of the input.
    const char *_Nonnull name;
    /// The extent of each axis, every one at least 1.
    const int64_t *_Nullable dimensions;
    /// How many axes.
    size_t rank;
} tessera_shape;

/// What is done to an image before it is the model's input: (value - mean) / scale for each channel.
typedef struct {
    /// What is taken off, for each channel.
    const float *_Nonnull mean;
    /// What the rest is divided by, for each channel, above 0.
    const float *_Nonnull scale;
    /// How many channels.
    size_t channel_count;
    /// Whether the channels are the last axis of the input, instead of the second one.
    bool is_channels_last;
} tessera_preprocessing;

/// Reads a model file and writes it as IR with static shapes.
///
/// The ending of the path decides how the file is read: `.onnx` (with external data beside it),
/// `.xml` (OpenVINO IR, with the `.bin` beside it), `.tflite`, `.pdmodel` or `.json` (Paddle),
/// `.pb` or a SavedModel folder (TensorFlow).
///
/// An input without an entry in `shapes` keeps its shape if that is static; a dynamic first axis
/// becomes 1; any other dynamic axis is an error. Then OpenVINO's own clean-up runs, constants are
/// folded, and the mean over both image axes becomes a pooling over the whole image, whose bits do
/// not depend on the operators around it. Every operator of the result has a unique name, and every
/// input and output tensor has at least one name.
///
/// @param path the model file.
/// @param shapes shapes of inputs, in any order; may be null if there are none.
/// @param shape_count how many shapes.
/// @param preprocessing what becomes a part of the graph, in front of the only input, which then has
///        unsigned 8-bit elements; null leaves the input as it is. It is put there after the
///        clean-up, so that nothing of the model is computed otherwise.
/// @param xml_path where the graph is written, ending in `.xml`; replaced if there.
/// @param bin_path where the constants are written; replaced if there.
/// @param error set to a text that says what happened and why if the result is false, else
///        untouched.
/// @return whether both files were written whole.
bool tessera_import_model(
    const char *_Nonnull path, const tessera_shape *_Nullable shapes, size_t shape_count,
    const tessera_preprocessing *_Nullable preprocessing, const char *_Nonnull xml_path, const char *_Nonnull bin_path,
    char *_Nullable *_Nonnull error);

/// Frees a text that a function of this header has given out; null is fine.
void tessera_free_text(char *_Nullable text);

#ifdef __cplusplus
}
#endif
