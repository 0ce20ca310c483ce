#pragma once

#include <stddef.h>

/// A file of the dashboard, as it lies in this folder.
typedef struct {
    /// Its name, with the ending.
    const char *name;
    /// What is in it.
    const unsigned char *bytes;
    /// How many bytes that are.
    size_t count;
} tessera_dashboard_file;

/// How many files there are.
size_t tessera_dashboard_file_count(void);
/// One of them; `index` is below their count.
tessera_dashboard_file tessera_dashboard_file_at(size_t index);
