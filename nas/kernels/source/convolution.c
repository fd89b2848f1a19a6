/* The convolution in segments, and the gradient of its input: both add up, for each of their
 * positions, weights times channels of a source at the taps that reach it.
 */
#include "convolution.h"

#include <stddef.h>

/* One of the two: `ins` are channels of what is summed, `outs` of what it makes. */
typedef struct {
    int segments, ins, outs, first_in, first_out;
    int kernel, in_width, in_channels, out_width, out_channels, out_height;
    const Reach *rows, *columns;
    int rectify, accumulate;
    const float *weights; /* packed */
    const float *gate;    /* where it is not positive the result is zero */
    const BatchNorm *following, *preceding;
} Sum;

/* Where a block of images is. */
typedef struct {
    Block block;
    const float *source, *gate, *normed; /* normed: input of the preceding batch norm */
    float *result;
} Place;

/* `outs` channels of a segment at one position, for `vectors` vectors of images from `lane` on.
 *
 * Inlined with constants, so that the sums are in registers; `some_ins` is zero where the channels
 * that are summed are no constant. */
INLINE void tile(const int outs, const int vectors, const int some_ins, const int rectify,
                 const Sum *sum, const Place *place, int row, int column, int in_channel,
                 int out_channel, const float *weights, int lane) {
    const int ins = some_ins ? some_ins : sum->ins;
    const int lanes = place->block.lanes;
    vec value[OUTPUTS][VECTORS];
#pragma GCC unroll 8
    for (int o = 0; o < outs; o++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) value[o][v] = (vec){0};

    const Reach *down = sum->rows + row, *across = sum->columns + column;
    const ptrdiff_t position = pitch(sum->in_channels, lanes);
    for (int i = 0; i < down->taps; i++) {
        const ptrdiff_t source_row = down->source + i * down->source_step;
        const int tap_row = down->tap + i * down->tap_step;
        const float *from = place->source + (source_row * sum->in_width + across->source) * position +
                            in_channel * lanes + lane;
        const float *with = weights + (tap_row * sum->kernel + across->tap) * ins * outs;
        for (int j = 0; j < across->taps; j++) {
            const float *at = from, *weight = with;
            for (int c = 0; c < ins; c++) {
                vec x[VECTORS];
#pragma GCC unroll 4
                for (int v = 0; v < vectors; v++) {
                    x[v] = load(at + WIDTH * v);
                    if (rectify) x[v] = relu(x[v]);
                }
#pragma GCC unroll 8
                for (int o = 0; o < outs; o++)
#pragma GCC unroll 4
                    for (int v = 0; v < vectors; v++) value[o][v] += weight[o] * x[v];
                at += lanes;
                weight += outs;
            }
            from += across->source_step * position;
            with += across->tap_step * ins * outs;
        }
    }

    const ptrdiff_t to = (row * sum->out_width + column) * pitch(sum->out_channels, lanes) +
                         out_channel * lanes + lane;
#pragma GCC unroll 8
    for (int o = 0; o < outs; o++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) {
            const ptrdiff_t at = to + o * lanes + WIDTH * v;
            if (place->gate) value[o][v] = gated(value[o][v], load(place->gate + at));
            if (sum->accumulate) value[o][v] += load(place->result + at);
            store(place->result + at, value[o][v]);
        }
    const BatchNorm *norm = sum->following ? sum->following : sum->preceding;
    if (!norm) return;
#pragma GCC unroll 8
    for (int o = 0; o < outs; o++) {
        Sums sums = load_sums(norm, out_channel + o);
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) {
            if (sum->following)
                sum_value(&sums, norm, out_channel + o, value[o][v], lanes, place->block.held,
                          lane + WIDTH * v);
            else
                sum_gradient(&sums, norm, out_channel + o, value[o][v],
                             load(place->normed + to + o * lanes + WIDTH * v));
        }
        store_sums(norm, out_channel + o, sums);
    }
}

typedef void Tile(const Sum *, const Place *, int, int, int, int, const float *, int);

#define TILE(outs, vectors, ins, rectify)                                                         \
    static void tile_##outs##_##vectors##_##ins##_##rectify(                                      \
        const Sum *sum, const Place *place, int row, int column, int in_channel, int out_channel, \
        const float *weights, int lane) {                                                         \
        tile(outs, vectors, ins, rectify, sum, place, row, column, in_channel, out_channel,       \
             weights, lane);                                                                      \
    }
#define TILES(outs, vectors, ins) TILE(outs, vectors, ins, 0) TILE(outs, vectors, ins, 1)
#define TILES_OF(outs) TILES(outs, 1, 0) TILES(outs, 2, 0) TILES(outs, 3, 0) TILES(outs, 4, 0)
TILES_OF(1)
TILES_OF(2)
TILES_OF(3)
TILES(1, 4, 1)
TILES(2, 4, 2)
TILES(3, 4, 3)
#define NAMES(outs, vectors, ins) \
    { tile_##outs##_##vectors##_##ins##_0, tile_##outs##_##vectors##_##ins##_1 }
#define NAMES_OF(outs) \
    { NAMES(outs, 1, 0), NAMES(outs, 2, 0), NAMES(outs, 3, 0), NAMES(outs, 4, 0) }
#if OUTPUTS > 3
TILES_OF(4)
TILES_OF(5)
TILES_OF(6)
TILES(4, 4, 4)
static Tile *const TILE_OF[OUTPUTS][VECTORS][2] = {NAMES_OF(1), NAMES_OF(2), NAMES_OF(3),
                                                   NAMES_OF(4), NAMES_OF(5), NAMES_OF(6)};
static Tile *const SQUARE_TILE[][2] = {NAMES(1, 4, 1), NAMES(2, 4, 2), NAMES(3, 4, 3),
                                       NAMES(4, 4, 4)};
#else
static Tile *const TILE_OF[OUTPUTS][VECTORS][2] = {NAMES_OF(1), NAMES_OF(2), NAMES_OF(3)};
static Tile *const SQUARE_TILE[][2] = {NAMES(1, 4, 1), NAMES(2, 4, 2), NAMES(3, 4, 3)};
#endif

static Tile *tile_of(const Sum *sum, int outs, int vectors) {
    const int known = sizeof SQUARE_TILE / sizeof SQUARE_TILE[0];
    if (vectors == VECTORS && sum->ins == outs && outs <= known)
        return SQUARE_TILE[outs - 1][sum->rectify];
    return TILE_OF[outs - 1][vectors - 1][sum->rectify];
}

/* Channels of a segment in as few tiles as there can be, all nearly as wide. */
INLINE int tiles_of(int channels) { return (channels + OUTPUTS - 1) / OUTPUTS; }
INLINE int tile_start(int channels, int index) { return channels * index / tiles_of(channels); }

/* Segments whose sources at all taps stay in the first cache while a row is gone through. */
enum { CACHED_CHANNELS = 12 };

static void sum_row(const Sum *sum, const Place *place, int row) {
    const int lanes = place->block.lanes;
    const int together = sum->ins < CACHED_CHANNELS ? CACHED_CHANNELS / sum->ins : 1;
    const int tiles = tiles_of(sum->outs);
    const ptrdiff_t segment_weights = (ptrdiff_t)sum->kernel * sum->kernel * sum->ins * sum->outs;
    for (int lane = 0; lane < lanes; lane += VECTORS * WIDTH) {
        const int left = (lanes - lane) / WIDTH, vectors = left < VECTORS ? left : VECTORS;
        for (int start = 0; start < sum->segments; start += together) {
            const int stop = start + together < sum->segments ? start + together : sum->segments;
            for (int column = 0; column < sum->out_width; column++)
                for (int s = start; s < stop; s++)
                    for (int t = 0; t < tiles; t++) {
                        const int from = tile_start(sum->outs, t);
                        const int outs = tile_start(sum->outs, t + 1) - from;
                        const float *weights =
                            sum->weights + s * segment_weights +
                            (ptrdiff_t)sum->kernel * sum->kernel * sum->ins * from;
                        tile_of(sum, outs, vectors)(sum, place, row, column,
                                                    sum->first_in + s * sum->ins,
                                                    sum->first_out + s * sum->outs + from, weights,
                                                    lane);
                    }
        }
    }
}

static void sum_batch(const Sum *sum, int images, const float *source, int in_height,
                      float *result) {
    const int positions = sum->out_height * sum->out_width;
    for (Block b = first_block(images); b.lanes; b = next_block(b)) {
        const ptrdiff_t start = block_start(b, positions, sum->out_channels);
        const Place place = {
            .block = b,
            .source = source + block_start(b, in_height * sum->in_width, sum->in_channels),
            .gate = sum->gate ? sum->gate + start : NULL,
            .normed = sum->preceding ? sum->preceding->input + start : NULL,
            .result = result + start,
        };
        for (int row = 0; row < sum->out_height; row++) sum_row(sum, &place, row);
    }
}

/* Weights in the order in which tiles read them: segment, tile, tap, channel summed, channel made. */
static void pack(const Group *group, int kernel, int transposed) {
    const int taps = kernel * kernel;
    const int ins = transposed ? group->outs : group->ins;
    const int outs = transposed ? group->ins : group->outs;
    const ptrdiff_t out_step = transposed ? taps : (ptrdiff_t)ins * taps;
    const ptrdiff_t in_step = transposed ? (ptrdiff_t)outs * taps : taps;
    float *to = group->packed;
    for (int s = 0; s < group->segments; s++) {
        const float *segment = group->weights + (ptrdiff_t)s * ins * outs * taps;
        for (int t = 0; t < tiles_of(outs); t++)
            for (int tap = 0; tap < taps; tap++)
                for (int i = 0; i < ins; i++)
                    for (int o = tile_start(outs, t); o < tile_start(outs, t + 1); o++)
                        *to++ = segment[o * out_step + i * in_step + tap];
    }
}

EXPORT void convolution_forward(const void *arguments) {
    const Convolution *op = arguments;
    if (op->following) no_sums_about(op->following, op->following->running_mean);
    for (int g = 0; g < op->groups; g++) {
        const Group *group = op->group + g;
        pack(group, op->kernel, 0);
        const Sum sum = {
            .segments = group->segments, .ins = group->ins, .outs = group->outs,
            .first_in = group->first_in, .first_out = group->first_out,
            .kernel = op->kernel, .in_width = op->in_width, .in_channels = op->in_channels,
            .out_width = op->out_width, .out_channels = op->out_channels,
            .out_height = op->out_height, .rows = op->out_rows, .columns = op->out_columns,
            .rectify = op->rectify, .weights = group->packed,
            .following = op->following,
        };
        sum_batch(&sum, op->images, op->input, op->in_height, op->output);
    }
}

EXPORT void convolution_input_gradient(const void *arguments) {
    const Convolution *op = arguments;
    if (op->preceding) no_sums(op->preceding);
    for (int g = 0; g < op->groups; g++) {
        const Group *group = op->group + g;
        pack(group, op->kernel, 1);
        const Sum sum = {
            .segments = group->segments, .ins = group->outs, .outs = group->ins,
            .first_in = group->first_out, .first_out = group->first_in,
            .kernel = op->kernel, .in_width = op->out_width, .in_channels = op->out_channels,
            .out_width = op->in_width, .out_channels = op->in_channels,
            .out_height = op->in_height, .rows = op->in_rows, .columns = op->in_columns,
            .accumulate = op->accumulate, .weights = group->packed,
            .gate = op->rectify ? op->input : NULL, .preceding = op->preceding,
        };
        sum_batch(&sum, op->images, op->output_gradient, op->out_height, op->input_gradient);
    }
}
