#pragma once

#include <stddef.h>
#include <stdint.h>

/// libFuzzer's main loop: runs the callback on one input after the other, and ends the process at the
/// first that crashes.
int LLVMFuzzerRunDriver(
    int *argument_count, char ***arguments, int (*callback)(const uint8_t *data, size_t size));
