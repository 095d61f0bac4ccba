#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace unroll {

// One call of the engine over a block of steps. Shapes are those of cells.h; pointers are of the call's element type.
struct Call {
    int kind;  // 0 RNN tanh, 1 RNN relu, 2 LSTM, 3 GRU
    int64_t steps, batch, hidden;
    const int64_t* lengths;
    int threads;
    void *x_gates, *h_gates;
    const void *bias_hn, *h_first;
    void* y;
    const void* c_first;
    void* c;
    int64_t c_step;
    const void* grad_y;
    void *grad_h, *grad_c;
    const void *packed, *packed_back;  // weights for products with h, and with the gradient of the gates
    bool few_rows;
    const int64_t* rows;  // those of one thread, longest first
    int64_t count;
    void* scratch;
};

// What one instruction set offers, for float and for double.
struct Engine {
    size_t (*packed_size[2])(int64_t units, int gates, int64_t inner, bool few_rows);
    void (*pack[2])(int64_t units, int gates, int64_t inner, bool few_rows, const void* weights, int64_t unit_stride,
                    int64_t gate_stride, int64_t inner_stride, void* packed);
    void (*forward[2])(const Call&);
    void (*backward[2])(const Call&);
    void (*activate)(int which, int64_t n, const float* x, float* y);  // 0 logistic, 1 tanh
};

extern const Engine avx512_engine, avx2_engine, portable_engine;

// The engine of a set that ``instruction_sets`` names; the portable one for any other name.
const Engine& engine_named(const std::string& name);

// Deals the rows out to the call's threads and runs them: one thread runs all steps of its rows.
void run(void (*work)(const Call&), Call call, bool backward);

}  // namespace unroll
