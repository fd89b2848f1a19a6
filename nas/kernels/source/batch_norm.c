#include "batch_norm.h"

#include <math.h>

static void sum_about(const BatchNorm *op, const float *pivots) {
    no_sums_about(op, pivots);
    for (Block b = first_block(op->images); b.lanes; b = next_block(b)) {
        const float *input = op->input + block_start(b, op->positions, op->channels);
        for (int p = 0; p < op->positions; p++)
            for (int c = 0; c < op->channels; c++) {
                const float *x = input + p * pitch(op->channels, b.lanes) + c * b.lanes;
                Sums sums = load_sums(op, c);
                for (int lane = 0; lane < b.lanes; lane += WIDTH)
                    sum_value(&sums, op, c, load(x + lane), b.lanes, b.held, lane);
                store_sums(op, c, sums);
            }
    }
}

/* The sums of values that no convolution has left: of channels that were moved. */
EXPORT void batch_norm_sums(const void *arguments) {
    const BatchNorm *op = arguments;
    sum_about(op, op->running_mean);
}

/* A channel's mean and variance; whether they are exact, so far from the pivot. */
static int statistics(const BatchNorm *op, int channel, double *mean, double *variance) {
    const double count = (double)op->images * op->positions;
    const Sums sums = load_sums(op, channel);
    const double shift = total(sums.first) / count;
    *mean = op->pivots[channel] + shift;
    *variance = total(sums.second) / count - shift * shift;
    if (*variance < 0) *variance = 0;
    return shift * shift <= 16 * *variance;
}

static void batch_statistics(const BatchNorm *op) {
    const double count = (double)op->images * op->positions;
    double mean, variance;
    int exact = 1;
    for (int c = 0; c < op->channels; c++) {
        exact &= statistics(op, c, &mean, &variance);
        op->mean[c] = (float)mean;
    }
    if (!exact) sum_about(op, op->mean);
    for (int c = 0; c < op->channels; c++) {
        statistics(op, c, &mean, &variance);
        const double unbiased = count > 1 ? variance * count / (count - 1) : variance;
        op->mean[c] = (float)mean;
        op->inverse[c] = (float)(1 / sqrt(variance + op->epsilon));
        op->running_mean[c] += op->momentum * (float)(mean - op->running_mean[c]);
        op->running_variance[c] += op->momentum * (float)(unbiased - op->running_variance[c]);
    }
    *op->batches += 1;
}

EXPORT void batch_norm_forward(const void *arguments) {
    const BatchNorm *op = arguments;
    if (op->training) batch_statistics(op);
    for (int c = 0; c < op->channels; c++) {
        if (!op->training) {
            op->mean[c] = op->running_mean[c];
            op->inverse[c] = (float)(1 / sqrt((double)op->running_variance[c] + op->epsilon));
        }
        op->scale[c] = op->weight[c] * op->inverse[c];
        op->shift[c] = op->bias[c] - op->mean[c] * op->scale[c];
    }
    for (Block b = first_block(op->images); b.lanes; b = next_block(b)) {
        const ptrdiff_t start = block_start(b, op->positions, op->channels);
        for (int p = 0; p < op->positions; p++) {
            ptrdiff_t at = start + p * pitch(op->channels, b.lanes);
            for (int c = 0; c < op->channels; c++) {
                const float scale = op->scale[c], shift = op->shift[c];
                for (int lane = 0; lane < b.lanes; lane += WIDTH, at += WIDTH) {
                    vec y = load(op->input + at) * scale + shift;
                    if (op->addend) y += load(op->addend + at);
                    store(op->output + at, op->rectify ? relu(y) : y);
                }
            }
        }
    }
}

/* The sums of gradients that no other operation has left. */
EXPORT void batch_norm_gradient_sums(const void *arguments) {
    const BatchNorm *op = arguments;
    no_sums(op);
    for (Block b = first_block(op->images); b.lanes; b = next_block(b)) {
        const ptrdiff_t start = block_start(b, op->positions, op->channels);
        for (int p = 0; p < op->positions; p++) {
            ptrdiff_t at = start + p * pitch(op->channels, b.lanes);
            for (int c = 0; c < op->channels; c++) {
                Sums sums = load_sums(op, c);
                for (int lane = 0; lane < b.lanes; lane += WIDTH, at += WIDTH)
                    sum_gradient(&sums, op, c, load(op->output_gradient + at), load(op->input + at));
                store_sums(op, c, sums);
            }
        }
    }
}

EXPORT void batch_norm_backward(const void *arguments) {
    const BatchNorm *op = arguments;
    const double count = (double)op->images * op->positions;
    float *offset = op->bias_gradient, *slope = op->weight_gradient;
    for (int c = 0; c < op->channels; c++) {
        const Sums sums = load_sums(op, c);
        op->bias_gradient[c] = (float)total(sums.first);
        op->weight_gradient[c] = (float)(total(sums.second) * op->inverse[c]);
    }
    /* dx = scale * (dy - mean of dy - (x - mean) / deviation * mean of dy * (x - mean) / deviation) */
    for (Block b = first_block(op->images); b.lanes; b = next_block(b)) {
        const ptrdiff_t start = block_start(b, op->positions, op->channels);
        for (int p = 0; p < op->positions; p++) {
            ptrdiff_t at = start + p * pitch(op->channels, b.lanes);
            for (int c = 0; c < op->channels; c++) {
                const float common = (float)(offset[c] / count);
                const float sloped = (float)(slope[c] / count) * op->inverse[c];
                for (int lane = 0; lane < b.lanes; lane += WIDTH, at += WIDTH) {
                    const vec x = load(op->input + at);
                    vec gradient = before_relu(op, c, load(op->output_gradient + at), x);
                    gradient = op->scale[c] * (gradient - common - sloped * (x - op->mean[c]));
                    if (b.held < b.lanes) gradient = only_held(gradient, b.held, lane);
                    store(op->input_gradient + at, gradient);
                }
            }
        }
    }
}
