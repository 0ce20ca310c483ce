#include "OpenVINOShim.h"
extern "C" void ov_shim_dummy(void) {}
