/* Vectors of the widest registers, and how a batch of images lies in memory.
 *
 * Images are kept in blocks of 64, the last block with as many as are left, filled up to a multiple
 * of 16. Within a block the images are innermost: (height, width, channels, lanes), so that every
 * operation is the same on all images of a vector, whatever the segments of a convolution. Gradients
 * of the filling are zero.
 */
#ifndef VECTOR_H
#define VECTOR_H

#include <stddef.h>
#include <stdint.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#if defined(__AVX512F__)
#define WIDTH 16  /* floats in a register */
#define OUTPUTS 6 /* channels of a tile: with 4 vectors each 24 of 32 registers */
#elif defined(__AVX2__)
#define WIDTH 8
#define OUTPUTS 3 /* 12 of 16 registers */
#elif defined(__aarch64__)
#define WIDTH 4
#define OUTPUTS 6
#else
#define WIDTH 4
#define OUTPUTS 3
#endif
#define VECTORS 4 /* of a tile's channel */
#define BLOCK 64
#define GRAIN 16

typedef float vec __attribute__((vector_size(4 * WIDTH), may_alias));
typedef int32_t ivec __attribute__((vector_size(4 * WIDTH), may_alias));
typedef uint8_t bytes __attribute__((vector_size(WIDTH), may_alias));

#define INLINE static inline __attribute__((always_inline))
#define EXPORT __attribute__((visibility("default")))

INLINE vec load(const float *from) { return *(const vec *)from; }
INLINE void store(float *to, vec value) { *(vec *)to = value; }
INLINE vec every(float value) { return value - (vec){0}; }

/* The value where the gate is positive, and zero elsewhere. */
INLINE vec gated(vec value, vec gate) { return (vec)((ivec)value & (gate > 0.0f)); }

/* The higher one; the second where one of them is not a number. */
INLINE vec higher(vec a, vec b) {
#if defined(__AVX512F__)
    return (vec)_mm512_max_ps((__m512)a, (__m512)b);
#elif defined(__AVX2__)
    return (vec)_mm256_max_ps((__m256)a, (__m256)b);
#elif defined(__SSE2__)
    return (vec)_mm_max_ps((__m128)a, (__m128)b);
#else
    const ivec first = a > b;
    return (vec)(((ivec)a & first) | ((ivec)b & ~first));
#endif
}

/* As PyTorch's: what is not a number stays so. */
INLINE vec relu(vec x) { return higher((vec){0}, x); }

INLINE double total(vec x) {
    double sum = 0;
    for (int i = 0; i < WIDTH; i++) sum += x[i];
    return sum;
}

/* Floats between neighbouring positions: not a power of two, or those of a few positions would be
 * all that a few sets of the cache can hold. */
INLINE ptrdiff_t pitch(int channels, int lanes) { return (ptrdiff_t)channels * lanes + 3 * GRAIN; }

/* A block of a batch: its first image, lanes, and the images that they hold. Behind the last one is
 * one without lanes. */
typedef struct {
    int images, first, lanes, held;
} Block;

INLINE Block block_from(int images, int first) {
    const int left = images > first ? images - first : 0, held = left < BLOCK ? left : BLOCK;
    return (Block){images, first, (held + GRAIN - 1) / GRAIN * GRAIN, held};
}
INLINE Block first_block(int images) { return block_from(images, 0); }
INLINE Block next_block(Block block) { return block_from(block.images, block.first + BLOCK); }

/* Where a block starts: all before it are full. */
INLINE ptrdiff_t block_start(Block block, int positions, int channels) {
    return block.first / BLOCK * positions * pitch(channels, BLOCK);
}

/* The lanes from `lane` on that hold an image, of a block with `held` images; others are zero. */
INLINE vec only_held(vec x, int held, int lane) {
    static const int32_t count[16] __attribute__((aligned(64))) = {0, 1, 2,  3,  4,  5,  6,  7,
                                                                   8, 9, 10, 11, 12, 13, 14, 15};
    const ivec number = *(const ivec *)count + lane;
    return (vec)((ivec)x & (number < held));
}

#endif
