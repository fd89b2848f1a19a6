/* Max pooling, which remembers what it chose. */
#include "convolution.h"

#include <math.h>

/* `chosen` keeps which tap was the highest: the first, or the last that is not a number. */
typedef struct {
    int32_t images, kernel, channels;
    int32_t in_height, in_width, out_height, out_width;
    const Reach *out_rows, *out_columns, *in_rows, *in_columns;
    const float *input;
    float *output;
    uint8_t *chosen; /* as large as the output */
    const float *output_gradient;
    float *input_gradient;
    const BatchNorm *preceding; /* that sums of the input's gradient are left for, or absent */
} MaxPool;

/* Taps of a position: their numbers, and where what they read is. */
enum { MOST_TAPS = 9 };
typedef struct {
    int count, number[MOST_TAPS];
    ptrdiff_t at[MOST_TAPS];
} Taps;

static Taps taps_of(const MaxPool *op, const Reach *down, const Reach *across, int width,
                    ptrdiff_t position) {
    Taps taps = {.count = 0};
    for (int i = 0; i < down->taps; i++)
        for (int j = 0; j < across->taps; j++) {
            const int row = down->source + i * down->source_step;
            const int column = across->source + j * across->source_step;
            taps.number[taps.count] = (down->tap + i * down->tap_step) * op->kernel + across->tap +
                                      j * across->tap_step;
            taps.at[taps.count++] = (row * width + column) * position;
        }
    return taps;
}

INLINE void highest(const int count, const Taps *taps, const float *input, int floats,
                    float *output, uint8_t *chosen) {
    for (int i = 0; i < floats; i += WIDTH) {
        vec best = every(-INFINITY);
        ivec tap = taps->number[0] - (ivec){0};
        for (int t = 0; t < count; t++) {
            const vec x = load(input + taps->at[t] + i);
            const ivec better = (x > best) | (x != x);
            best = (vec)(((ivec)x & better) | ((ivec)best & ~better));
            tap = (taps->number[t] & better) | (tap & ~better);
        }
        store(output + i, best);
        *(bytes *)(chosen + i) = __builtin_convertvector(tap, bytes);
    }
}

EXPORT void max_pool_forward(const void *arguments) {
    const MaxPool *op = arguments;
    for (Block b = first_block(op->images); b.lanes; b = next_block(b)) {
        const ptrdiff_t position = pitch(op->channels, b.lanes);
        const ptrdiff_t start = block_start(b, op->out_height * op->out_width, op->channels);
        const float *input = op->input + block_start(b, op->in_height * op->in_width, op->channels);
        for (int row = 0; row < op->out_height; row++)
            for (int column = 0; column < op->out_width; column++) {
                const ptrdiff_t to = start + (row * op->out_width + column) * position;
                const Taps taps = taps_of(op, op->out_rows + row, op->out_columns + column,
                                          op->in_width, position);
                const int floats = op->channels * b.lanes;
                if (taps.count == 9)
                    highest(9, &taps, input, floats, op->output + to, op->chosen + to);
                else
                    highest(taps.count, &taps, input, floats, op->output + to, op->chosen + to);
            }
    }
}

/* The gradient of one position of the input, from the results that it was read for. */
INLINE void gather(const int count, const MaxPool *op, const Taps *taps, const float *gradient,
                   const uint8_t *chosen, int lanes, ptrdiff_t to) {
    const BatchNorm *norm = op->preceding;
    for (int c = 0; c < op->channels; c++) {
        Sums sums = norm ? load_sums(norm, c) : (Sums){{0}, {0}};
        for (int lane = 0; lane < lanes; lane += WIDTH) {
            const ptrdiff_t i = c * lanes + lane;
            vec sum = {0};
            for (int t = 0; t < count; t++) {
                const bytes from = *(const bytes *)(chosen + taps->at[t] + i);
                const ivec taken = __builtin_convertvector(from, ivec) == taps->number[t];
                sum += (vec)((ivec)load(gradient + taps->at[t] + i) & taken);
            }
            store(op->input_gradient + to + i, sum);
            if (norm) sum_gradient(&sums, norm, c, sum, load(norm->input + to + i));
        }
        if (norm) store_sums(norm, c, sums);
    }
}

EXPORT void max_pool_backward(const void *arguments) {
    const MaxPool *op = arguments;
    if (op->preceding) no_sums(op->preceding);
    for (Block b = first_block(op->images); b.lanes; b = next_block(b)) {
        const ptrdiff_t position = pitch(op->channels, b.lanes);
        const ptrdiff_t start = block_start(b, op->in_height * op->in_width, op->channels);
        const ptrdiff_t from = block_start(b, op->out_height * op->out_width, op->channels);
        for (int row = 0; row < op->in_height; row++)
            for (int column = 0; column < op->in_width; column++) {
                const ptrdiff_t to = start + (row * op->in_width + column) * position;
                const Taps taps = taps_of(op, op->in_rows + row, op->in_columns + column,
                                          op->out_width, position);
                const float *gradient = op->output_gradient + from;
                const uint8_t *chosen = op->chosen + from;
                switch (taps.count) { /* with a stride of two, one, two or four */
                case 1: gather(1, op, &taps, gradient, chosen, b.lanes, to); break;
                case 2: gather(2, op, &taps, gradient, chosen, b.lanes, to); break;
                case 4: gather(4, op, &taps, gradient, chosen, b.lanes, to); break;
                default: gather(taps.count, op, &taps, gradient, chosen, b.lanes, to);
                }
            }
    }
}
