#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace unroll {

// Recurrences in which every unit reads only itself, over all steps of a call:
//
//   linear  h_t = a_t h_{t-1} + b_t, float, double or complex
//   relu    h_t = max(0, a_t h_{t-1} + b_t)
//   tanh    h_t = tanh(a_t h_{t-1} + b_t)
//   sru     f = σ(p_t + v_f c_{t-1}), r = σ(q_t + v_r c_{t-1}), c_t = f c_{t-1} + (1 - f) b_t, h_t = r c_t + (1 - r) s_t
//
// Features lie side by side everywhere. Strides are in numbers (a complex number counts as one), of a step and of a row of
// the batch; 0 where all share one. Outputs are contiguous (steps, batch, features).
struct Recurrence {
    int64_t steps, batch, features;
    bool reverse;    // walk from the last step to the first
    bool late;       // a step takes a and resets of the one walked before it; the first step takes its b alone
    bool conjugate;  // take a's conjugate
    const void* a;   // sru: v_f, v_r (2, features)
    int64_t a_step, a_row;
    const void* b;  // sru: b, p, q side by side, features apart
    int64_t b_step, b_row;
    const void* skip;  // sru: s
    int64_t skip_step, skip_row;
    const void* first;      // (batch, features) before the first step walked; null: 0
    const uint8_t* resets;  // (steps, batch), 1 where the state before the step is taken as 0; null: nowhere
    void* state;
    void* output;      // sru: h
    int64_t from, to;  // of the parts below, those of one thread
};

// The features of a row are cut into parts of this many, which threads deal out. A multiple of every vector, so that where
// a number falls within a vector does not depend on who computes it.
constexpr int64_t PART = 256;

inline int64_t parts_of_row(const Recurrence& r) { return (r.features + PART - 1) / PART; }

// By kind (linear, relu, tanh, sru) and type (float, double, and their complex numbers); null where there is none.
struct LinearEngine {
    void (*run[4][4])(const Recurrence&);
};

extern const LinearEngine avx512_linear, avx2_linear, portable_linear;

}  // namespace unroll
