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
/// @param xml_path where the graph is written, ending in `.xml`; replaced if there.
/// @param bin_path where the constants are written; replaced if there.
/// @param error set to a text that says what happened and why if the result is false, else
///        untouched.
/// @return whether both files were written whole.
bool tessera_import_model(
    const char *_Nonnull path, const tessera_shape *_Nullable shapes, size_t shape_count,
    const char *_Nonnull xml_path, const char *_Nonnull bin_path,
    char *_Nullable *_Nonnull error);

/// Frees a text that a function of this header has given out; null is fine.
void tessera_free_text(char *_Nullable text);

#ifdef __cplusplus
}
#endif
