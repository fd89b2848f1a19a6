/* The gradient of the segmented convolution's weights: for each of them the sum, over all positions
 * and images, of the input at its tap times the gradient of the result.
 *
 * Rows of the result are gone through in strips. Within a strip a tile of weights (channels of the
 * result, channels of the input, and for narrow segments neighbouring taps of a row) is summed in
 * registers, a vector for each weight; between strips the vectors are in `Group.partial`.
 */
#include "convolution.h"

#include <stddef.h>

enum {
    TILE_INS = OUTPUTS > 3 ? 4 : 3,
    STRIP_POSITIONS = 8, /* of the result: in the first cache, and many more than the sums' own */
};

/* A strip of a block of images. */
typedef struct {
    int lanes, first_row, stop_row, first_column, stop_column;
    const float *input, *gradient;
} Strip;

INLINE void weights_tile(const int outs, const int ins, const int taps, const int rectify,
                         const Convolution *op, const Strip *strip, int in_channel,
                         int out_channel, int tap_row, int tap_column, float *partial,
                         ptrdiff_t out_step, ptrdiff_t in_step) {
    const int lanes = strip->lanes;
    const ptrdiff_t position = pitch(op->in_channels, lanes);
    const ptrdiff_t out_position = pitch(op->out_channels, lanes);
    vec sum[28];
#pragma GCC unroll 28
    for (int o = 0; o < outs; o++)
#pragma GCC unroll 8
        for (int i = 0; i < ins; i++)
#pragma GCC unroll 8
            for (int t = 0; t < taps; t++)
                sum[(o * ins + i) * taps + t] =
                    load(partial + (o * out_step + i * in_step + t) * WIDTH);

    for (int row = strip->first_row; row < strip->stop_row; row++) {
        const Reach *down = op->out_rows + row;
        if (tap_row < down->tap || tap_row >= down->tap + down->taps) continue;
        const int source_row = down->source + (tap_row - down->tap) * down->source_step;
        for (int column = strip->first_column; column < strip->stop_column; column++) {
            const Reach *across = op->out_columns + column;
            if (taps == 1 && (tap_column < across->tap || tap_column >= across->tap + across->taps))
                continue;
            const int source_column =
                across->source + (tap_column - across->tap) * across->source_step;
            const float *x = strip->input +
                             (source_row * op->in_width + source_column) * position +
                             in_channel * lanes;
            const float *dy = strip->gradient + (row * op->out_width + column) * out_position +
                              out_channel * lanes;
            const ptrdiff_t tap_step = across->source_step * position;
            for (int lane = 0; lane < lanes; lane += WIDTH) {
                vec gradient[OUTPUTS];
#pragma GCC unroll 8
                for (int o = 0; o < outs; o++) gradient[o] = load(dy + o * lanes + lane);
#pragma GCC unroll 8
                for (int t = 0; t < taps; t++)
#pragma GCC unroll 8
                    for (int i = 0; i < ins; i++) {
                        vec value = load(x + t * tap_step + i * lanes + lane);
                        if (rectify) value = relu(value);
#pragma GCC unroll 8
                        for (int o = 0; o < outs; o++)
                            sum[(o * ins + i) * taps + t] += gradient[o] * value;
                    }
            }
        }
    }

#pragma GCC unroll 28
    for (int o = 0; o < outs; o++)
#pragma GCC unroll 8
        for (int i = 0; i < ins; i++)
#pragma GCC unroll 8
            for (int t = 0; t < taps; t++)
                store(partial + (o * out_step + i * in_step + t) * WIDTH,
                      sum[(o * ins + i) * taps + t]);
}

typedef void Tile(const Convolution *, const Strip *, int, int, int, int, float *, ptrdiff_t,
                  ptrdiff_t);

#define TILE(outs, ins, taps, rectify)                                                           \
    static void tile_##outs##_##ins##_##taps##_##rectify(                                        \
        const Convolution *op, const Strip *strip, int in_channel, int out_channel, int tap_row, \
        int tap_column, float *partial, ptrdiff_t out_step, ptrdiff_t in_step) {                 \
        weights_tile(outs, ins, taps, rectify, op, strip, in_channel, out_channel, tap_row,      \
                     tap_column, partial, out_step, in_step);                                    \
    }
#define TILES(outs, ins, taps) TILE(outs, ins, taps, 0) TILE(outs, ins, taps, 1)
#define NAMES(outs, ins, taps) \
    { tile_##outs##_##ins##_##taps##_0, tile_##outs##_##ins##_##taps##_1 }
#if OUTPUTS > 3
#define TILES_OF(outs) TILES(outs, 1, 1) TILES(outs, 2, 1) TILES(outs, 3, 1) TILES(outs, 4, 1)
#define NAMES_OF(outs) \
    { NAMES(outs, 1, 1), NAMES(outs, 2, 1), NAMES(outs, 3, 1), NAMES(outs, 4, 1) }
#else
#define TILES_OF(outs) TILES(outs, 1, 1) TILES(outs, 2, 1) TILES(outs, 3, 1)
#define NAMES_OF(outs) \
    { NAMES(outs, 1, 1), NAMES(outs, 2, 1), NAMES(outs, 3, 1) }
#endif
TILES_OF(1)
TILES_OF(2)
TILES_OF(3)
TILES(1, 1, 3)
TILES(1, 1, 5)
TILES(1, 1, 7)
TILES(2, 2, 3)
#if OUTPUTS > 3
TILES_OF(4)
TILES_OF(5)
TILES_OF(6)
TILES(3, 3, 3)
static Tile *const TILE_OF[OUTPUTS][TILE_INS][2] = {NAMES_OF(1), NAMES_OF(2), NAMES_OF(3),
                                                    NAMES_OF(4), NAMES_OF(5), NAMES_OF(6)};
#else
static Tile *const TILE_OF[OUTPUTS][TILE_INS][2] = {NAMES_OF(1), NAMES_OF(2), NAMES_OF(3)};
#endif

/* The tile of a whole segment and all taps of a row, where there is one. */
static Tile *row_tile(const Group *group, int kernel, int rectify) {
    static Tile *const DEPTHWISE[][2] = {NAMES(1, 1, 3), NAMES(1, 1, 5), NAMES(1, 1, 7)};
    static Tile *const PAIRS[2] = NAMES(2, 2, 3);
    if (group->ins != group->outs) return NULL;
    if (group->ins == 1 && kernel > 1) return DEPTHWISE[(kernel - 3) / 2][rectify];
    if (group->ins == 2 && kernel == 3) return PAIRS[rectify];
#if OUTPUTS > 3
    static Tile *const TRIPLES[2] = NAMES(3, 3, 3);
    if (group->ins == 3 && kernel == 3) return TRIPLES[rectify];
#endif
    return NULL;
}

INLINE int lower(int a, int b) { return a < b ? a : b; }
INLINE int pieces_of(int channels, int most) { return (channels + most - 1) / most; }
INLINE int piece_start(int channels, int most, int index) {
    return channels * index / pieces_of(channels, most);
}

/* All taps of a tile of weights, so that what they read is in the cache. */
static void tile_gradient(const Convolution *op, const Group *group, const Strip *strip,
                          const int outs, const int ins, int in_channel, int out_channel,
                          float *partial) {
    const int taps = op->kernel * op->kernel;
    const ptrdiff_t in_step = taps, out_step = (ptrdiff_t)group->ins * taps;
    Tile *const tile = TILE_OF[outs - 1][ins - 1][op->rectify];
    for (int row = 0; row < op->kernel; row++)
        for (int column = 0; column < op->kernel; column++)
            tile(op, strip, in_channel, out_channel, row, column,
                 partial + (row * op->kernel + column) * WIDTH, out_step, in_step);
}

/* A segment in tiles. */
static void segment_gradient(const Convolution *op, const Group *group, const Strip *strip,
                             int segment) {
    const int ins = group->ins, outs = group->outs, taps = op->kernel * op->kernel;
    const int in_channel = group->first_in + segment * ins;
    const int out_channel = group->first_out + segment * outs;
    for (int a = 0; a < pieces_of(ins, TILE_INS); a++)
        for (int b = 0; b < pieces_of(outs, OUTPUTS); b++) {
            const int i = piece_start(ins, TILE_INS, a), o = piece_start(outs, OUTPUTS, b);
            const ptrdiff_t first = ((ptrdiff_t)(segment * outs + o) * ins + i) * taps;
            tile_gradient(op, group, strip, piece_start(outs, OUTPUTS, b + 1) - o,
                          piece_start(ins, TILE_INS, a + 1) - i, in_channel + i, out_channel + o,
                          group->partial + first * WIDTH);
        }
}

/* The same with all taps of a row together, for the columns that all of them reach. */
static void row_gradient(const Convolution *op, const Group *group, const Strip *strip,
                         Tile *whole, int segment) {
    const int taps = op->kernel * op->kernel;
    const ptrdiff_t weights = (ptrdiff_t)group->outs * group->ins * taps;
    int first = strip->first_column, stop = strip->stop_column;
    while (first < stop && op->out_columns[first].taps < op->kernel) first++;
    while (first < stop && op->out_columns[stop - 1].taps < op->kernel) stop--;
    Strip left = *strip, inner = *strip, right = *strip;
    left.stop_column = inner.first_column = first;
    inner.stop_column = right.first_column = stop;
    for (int row = 0; first < stop && row < op->kernel; row++)
        whole(op, &inner, group->first_in + segment * group->ins,
              group->first_out + segment * group->outs, row, 0,
              group->partial + (segment * weights + row * op->kernel) * WIDTH,
              (ptrdiff_t)group->ins * taps, taps);
    if (left.first_column < left.stop_column) segment_gradient(op, group, &left, segment);
    if (right.first_column < right.stop_column) segment_gradient(op, group, &right, segment);
}

static void group_gradient(const Convolution *op, const Group *group) {
    const ptrdiff_t weights =
        (ptrdiff_t)group->segments * group->outs * group->ins * op->kernel * op->kernel;
    const int rows = STRIP_POSITIONS > op->out_width ? STRIP_POSITIONS / op->out_width : 1;
    Tile *const whole = row_tile(group, op->kernel, op->rectify);
    for (ptrdiff_t i = 0; i < weights; i++) store(group->partial + i * WIDTH, (vec){0});
    for (Block b = first_block(op->images); b.lanes; b = next_block(b))
        for (int row = 0; row < op->out_height; row += rows)
            for (int column = 0; column < op->out_width; column += STRIP_POSITIONS) {
                const Strip strip = {
                    .lanes = b.lanes, .first_row = row, .first_column = column,
                    .stop_row = lower(row + rows, op->out_height),
                    .stop_column = lower(column + STRIP_POSITIONS, op->out_width),
                    .input = op->input +
                             block_start(b, op->in_height * op->in_width, op->in_channels),
                    .gradient = op->output_gradient +
                                block_start(b, op->out_height * op->out_width, op->out_channels),
                };
                for (int s = 0; s < group->segments; s++)
                    if (whole)
                        row_gradient(op, group, &strip, whole, s);
                    else
                        segment_gradient(op, group, &strip, s);
            }
    for (ptrdiff_t i = 0; i < weights; i++)
        group->gradient[i] = (float)total(load(group->partial + i * WIDTH));
}

EXPORT void convolution_weights_gradient(const void *arguments) {
    const Convolution *op = arguments;
    for (int g = 0; g < op->groups; g++) group_gradient(op, op->group + g);
}
