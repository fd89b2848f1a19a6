/* Batch norm, and what the operations before and behind it sum for it.
 *
 * Forward, a convolution that batch norm follows leaves, for each channel, a vector of sums of its
 * results' differences from a pivot and one of their squares: as exact as in two passes where the
 * pivot is near the mean, as the running mean is; where it is not they are summed again. Backward, the last operation that adds to the
 * gradient leaves sums of the gradient and of its product with the input's difference from the mean.
 */
#ifndef BATCH_NORM_H
#define BATCH_NORM_H

#include "vector.h"

typedef struct {
    int32_t images, positions, channels;
    int32_t rectify, training; /* rectify: ReLU behind it */
    float epsilon, momentum;
    const float *weight, *bias;
    float *running_mean, *running_variance;
    int64_t *batches; /* counted so far */
    const float *input;
    const float *addend; /* the shortcut, or absent */
    float *output;
    float *pivots, *sums; /* sums: (channels, 2, WIDTH) */
    float *mean, *inverse, *scale, *shift; /* of the channels; inverse: of the deviation */
    const float *output_gradient;
    float *input_gradient;
    float *weight_gradient, *bias_gradient;
} BatchNorm;

INLINE void no_sums(const BatchNorm *norm) {
    for (int i = 0; i < norm->channels * 2 * WIDTH; i++) norm->sums[i] = 0;
}

INLINE void no_sums_about(const BatchNorm *norm, const float *pivots) {
    no_sums(norm);
    for (int c = 0; c < norm->channels; c++) norm->pivots[c] = pivots[c];
}

/* Two sums of a channel, in registers. */
typedef struct {
    vec first, second;
} Sums;

INLINE Sums load_sums(const BatchNorm *norm, int channel) {
    const float *of = norm->sums + (ptrdiff_t)channel * 2 * WIDTH;
    return (Sums){load(of), load(of + WIDTH)};
}

INLINE void store_sums(const BatchNorm *norm, int channel, Sums sums) {
    float *of = norm->sums + (ptrdiff_t)channel * 2 * WIDTH;
    store(of, sums.first);
    store(of + WIDTH, sums.second);
}

/* Filling counts for nothing. */
INLINE void sum_value(Sums *sums, const BatchNorm *norm, int channel, vec x, int lanes, int held,
                      int lane) {
    vec difference = x - norm->pivots[channel];
    if (held < lanes) difference = only_held(difference, held, lane);
    sums->first += difference;
    sums->second += difference * difference;
}

/* The gradient of the ReLU's input; that is as soon computed again as read. */
INLINE vec before_relu(const BatchNorm *norm, int channel, vec gradient, vec x) {
    return norm->rectify ? gated(gradient, x * norm->scale[channel] + norm->shift[channel])
                         : gradient;
}

INLINE void sum_gradient(Sums *sums, const BatchNorm *norm, int channel, vec gradient, vec x) {
    gradient = before_relu(norm, channel, gradient, x);
    sums->first += gradient;
    sums->second += gradient * (x - norm->mean[channel]);
}

#endif
