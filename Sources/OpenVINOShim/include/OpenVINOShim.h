#pragma once
#ifdef __cplusplus
extern "C" {
#endif
void ov_shim_dummy(void);
#ifdef __cplusplus
}
#endif
