#include "train/quantise.h"

#include <math.h>

void quantise(const struct solver_weights *weights, unsigned bits, size_t stride, size_t column,
              int8_t *table, struct linear_head *head)
{
    size_t slots = (size_t)1 << bits;
    float most = 0;
    for (size_t i = 0; i < slots; i++)
        most = fmaxf(most, fabsf(weights->by_slot[i]));
    head->scale = most > 0 ? most / INT8_MAX : 1;
    head->bias = weights->bias;
    for (size_t i = 0; i < slots; i++)
        table[i * stride + column] = (int8_t)lrintf(weights->by_slot[i] / head->scale);
}
