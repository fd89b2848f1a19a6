/* What stands around convolutions: images in, channels moved, the mean out. */
#include "vector.h"

/* Images (N, C, H, W) with any strides into blocks; filling is zero. */
typedef struct {
    int32_t images, height, width, channels;
    int64_t image_step, channel_step, row_step, column_step; /* in floats */
    const float *from;
    float *output;
} Input;

EXPORT void input_forward(const void *arguments) {
    const Input *op = arguments;
    for (Block b = first_block(op->images); b.lanes; b = next_block(b))
        for (int y = 0; y < op->height; y++)
            for (int x = 0; x < op->width; x++)
                for (int c = 0; c < op->channels; c++) {
                    const float *from = op->from + b.first * op->image_step + y * op->row_step +
                                        x * op->column_step + c * op->channel_step;
                    float *to = op->output + block_start(b, op->height * op->width, op->channels) +
                                (y * op->width + x) * pitch(op->channels, b.lanes) + c * b.lanes;
                    for (int i = 0; i < b.lanes; i++)
                        to[i] = i < b.held ? from[i * op->image_step] : 0.0f;
                }
}

/* Channels in another order: channel c of the output is channel source[c] of the input. */
typedef struct {
    int32_t images, positions, channels;
    const int32_t *source;
    const float *input;
    float *output;
    const float *output_gradient;
    float *input_gradient;
} Reorder;

EXPORT void reorder_forward(const void *arguments) {
    const Reorder *op = arguments;
    for (Block b = first_block(op->images); b.lanes; b = next_block(b))
        for (int p = 0; p < op->positions; p++) {
            const ptrdiff_t at = block_start(b, op->positions, op->channels) +
                                 p * pitch(op->channels, b.lanes);
            for (int c = 0; c < op->channels; c++)
                for (int lane = 0; lane < b.lanes; lane += WIDTH)
                    store(op->output + at + c * b.lanes + lane,
                          load(op->input + at + op->source[c] * b.lanes + lane));
        }
}

EXPORT void reorder_backward(const void *arguments) {
    const Reorder *op = arguments;
    for (Block b = first_block(op->images); b.lanes; b = next_block(b))
        for (int p = 0; p < op->positions; p++) {
            const ptrdiff_t at = block_start(b, op->positions, op->channels) +
                                 p * pitch(op->channels, b.lanes);
            for (int c = 0; c < op->channels; c++)
                for (int lane = 0; lane < b.lanes; lane += WIDTH)
                    store(op->input_gradient + at + op->source[c] * b.lanes + lane,
                          load(op->output_gradient + at + c * b.lanes + lane));
        }
}

/* The mean over all positions, out of blocks: (N, C). */
typedef struct {
    int32_t images, positions, channels, rectify;
    const float *input;
    float *output;
    const float *output_gradient;
    float *input_gradient;
} Mean;

EXPORT void mean_forward(const void *arguments) {
    const Mean *op = arguments;
    for (Block b = first_block(op->images); b.lanes; b = next_block(b))
        for (int c = 0; c < op->channels; c++)
            for (int lane = 0; lane < b.lanes; lane += WIDTH) {
                const float *x = op->input + block_start(b, op->positions, op->channels) +
                                 c * b.lanes + lane;
                vec sum = {0};
                for (int p = 0; p < op->positions; p++, x += pitch(op->channels, b.lanes))
                    sum += op->rectify ? relu(load(x)) : load(x);
                float each[WIDTH] __attribute__((aligned(64)));
                store(each, sum / (float)op->positions);
                for (int i = 0; i < WIDTH && lane + i < b.held; i++)
                    op->output[(ptrdiff_t)(b.first + lane + i) * op->channels + c] = each[i];
            }
}

EXPORT void mean_backward(const void *arguments) {
    const Mean *op = arguments;
    for (Block b = first_block(op->images); b.lanes; b = next_block(b))
        for (int c = 0; c < op->channels; c++)
            for (int lane = 0; lane < b.lanes; lane += WIDTH) {
                float each[WIDTH] __attribute__((aligned(64))) = {0};
                for (int i = 0; i < WIDTH && lane + i < b.held; i++)
                    each[i] = op->output_gradient[(ptrdiff_t)(b.first + lane + i) * op->channels + c];
                const vec mean = load(each) / (float)op->positions;
                ptrdiff_t at = block_start(b, op->positions, op->channels) + c * b.lanes + lane;
                for (int p = 0; p < op->positions; p++, at += pitch(op->channels, b.lanes))
                    store(op->input_gradient + at,
                          op->rectify ? gated(mean, load(op->input + at)) : mean);
            }
}
