// The driver is a library of the toolchain; a target needs one file of its own.
#include "FuzzerDriver.h"
