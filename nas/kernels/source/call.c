/* How the kernels are called, and which of their levels a processor runs. */
#include "vector.h"

#include <string.h>

/* What Python has to agree with: `nas.kernels.library`. */
EXPORT const int32_t vector_width = WIDTH;
EXPORT const char sources[] = SOURCES; /* a digest of all files that were compiled */

/* A network is a list of calls. */
typedef struct {
    void (*kernel)(const void *arguments);
    const void *arguments;
} Call;

EXPORT void run(const Call *calls, int64_t count) {
    for (int64_t i = 0; i < count; i++) calls[i].kernel(calls[i].arguments);
}

/* Whether this processor, and the operating system, have what a level is compiled for. */
EXPORT int has_level(const char *level) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (!strcmp(level, "avx512"))
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    if (!strcmp(level, "avx2"))
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
    return !strcmp(level, "baseline");
}
