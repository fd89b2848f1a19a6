/* A convolution whose channel segments do not see each other: its shapes, and where its taps fall.
 */
#ifndef CONVOLUTION_H
#define CONVOLUTION_H

#include "batch_norm.h"

/* What one row, or column, of the result takes: `taps` of the kernel from `tap` on, every `tap_step`
 * of them, at sources from `source` on, every `source_step`. Taps on the padding are left out. */
typedef struct {
    int32_t tap, tap_step, taps, source, source_step;
} Reach;

/* Neighbouring segments of equal widths. */
typedef struct {
    int32_t segments, ins, outs; /* channels of a segment */
    int32_t first_in, first_out; /* channel of the first segment */
    const float *weights;        /* (segments * outs, ins, kernel, kernel) */
    float *gradient;             /* of the weights */
    float *packed;               /* room for the weights as the tiles read them */
    float *partial;              /* room for the gradient, a vector for each weight */
} Group;

typedef struct {
    int32_t images, kernel, groups;
    int32_t in_height, in_width, in_channels;
    int32_t out_height, out_width, out_channels;
    int32_t rectify;    /* ReLU before the convolution */
    int32_t accumulate; /* add to the input's gradient, which is there already */
    const Group *group;
    const Reach *out_rows, *out_columns; /* of the result */
    const Reach *in_rows, *in_columns;   /* of the input's gradient */
    const float *input;
    float *output;
    float *input_gradient; /* absent where nobody asks for it */
    const float *output_gradient;
    const BatchNorm *following; /* that sums of the result are left for, or absent */
    const BatchNorm *preceding; /* that sums of the input's gradient are left for, or absent */
} Convolution;

#endif
