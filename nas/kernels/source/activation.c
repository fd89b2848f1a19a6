/* Activations between the two steps of a unit, element by element. */
#include "vector.h"

enum { ELU, GELU, SILU };

typedef struct {
    int32_t images, positions, channels, kind;
    const float *input;
    float *output;
    const float *output_gradient;
    float *input_gradient;
} Activation;

/* Two to the power of whole numbers, by the bits of the exponent. */
INLINE vec power_of_two(vec n) {
    return (vec)((__builtin_convertvector(n, ivec) + 127) << 23);
}

/* Within two units in the last place (the polynomial of the Cephes library); zero below -87, and
 * infinite above 88. */
INLINE vec exponential(vec x) {
    const ivec vanishes = x < -87.0f;
    x = higher(every(-87.0f), -higher(every(-89.0f), -x));
    const vec shifter = every(12582912.0f); /* 1.5 * 2^23: adding it rounds to a whole number */
    vec n = x * 1.44269504f + shifter;
    n -= shifter;
    const vec r = x - n * 0.693359375f - n * -2.12194440e-4f;
    vec p = r * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    return (vec)((ivec)((p * r * r + r + 1.0f) * power_of_two(n)) & ~vanishes);
}

/* The normal distribution's, within 1e-7 (Abramowitz and Stegun, 7.1.26); density: exp(-x^2/2). */
INLINE vec normal_cumulative(vec x, vec density) {
    const vec positive = higher(-x, x);
    const vec t = 1.0f / (1.0f + 0.3275911f * 0.70710678f * positive);
    vec p = t * 1.061405429f + -1.453152027f;
    p = p * t + 1.421413741f;
    p = p * t + -0.284496736f;
    p = p * t + 0.254829592f;
    const vec tail = 0.5f * p * t * density;
    const ivec left = x < 0.0f;
    return (vec)(((ivec)tail & left) | ((ivec)(1.0f - tail) & ~left));
}

INLINE vec activated(const int kind, vec x) {
    if (kind == ELU) return relu(x) + (exponential(-relu(-x)) - 1.0f);
    if (kind == GELU) return x * normal_cumulative(x, exponential(x * x * -0.5f));
    return x / (1.0f + exponential(-x));
}

INLINE vec slope(const int kind, vec x) {
    if (kind == ELU) return exponential(-relu(-x));
    if (kind == GELU) {
        const vec density = exponential(x * x * -0.5f);
        return normal_cumulative(x, density) + x * density * 0.39894228f;
    }
    const vec sigmoid = 1.0f / (1.0f + exponential(-x));
    return sigmoid * (1.0f + x * (1.0f - sigmoid));
}

/* Floats of a batch, filling included. */
INLINE ptrdiff_t floats(const Activation *op) {
    ptrdiff_t sum = 0;
    for (Block b = first_block(op->images); b.lanes; b = next_block(b))
        sum += op->positions * pitch(op->channels, b.lanes);
    return sum;
}

INLINE void apply(const int kind, const Activation *op) {
    for (ptrdiff_t i = 0, size = floats(op); i < size; i += WIDTH)
        store(op->output + i, activated(kind, load(op->input + i)));
}

INLINE void apply_slope(const int kind, const Activation *op) {
    for (ptrdiff_t i = 0, size = floats(op); i < size; i += WIDTH)
        store(op->input_gradient + i,
              load(op->output_gradient + i) * slope(kind, load(op->input + i)));
}

EXPORT void activation_forward(const void *arguments) {
    const Activation *op = arguments;
    switch (op->kind) {
    case ELU: apply(ELU, op); break;
    case GELU: apply(GELU, op); break;
    case SILU: apply(SILU, op); break;
    }
}

EXPORT void activation_backward(const void *arguments) {
    const Activation *op = arguments;
    switch (op->kind) {
    case ELU: apply_slope(ELU, op); break;
    case GELU: apply_slope(GELU, op); break;
    case SILU: apply_slope(SILU, op); break;
    }
}
