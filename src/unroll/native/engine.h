#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace unroll {

// One layer in one direction over a whole batch of sequences. Addresses are 0 where there is nothing; arrays are of the
// call's element type, their last dimension contiguous, and contiguous altogether where no stride is named. Strides count
// elements. H is hidden, P the width of h that W_hh reads and that is put out (H without projection), I input, G gates in
// the weights, W slots: the values a step computes per unit before its activations.
struct Call {
    int64_t kind = 0;  // of Kind in cells.h
    int64_t steps = 0, batch = 0, input = 0, hidden = 0, output = 0, slots = 0;
    int64_t reverse = 0;
    int64_t block = 0;     // steps walked at a time; 0 as many as the cache holds
    uint64_t lengths = 0;  // int64 (batch)

    uint64_t x = 0;  // (T, batch, I)
    int64_t x_step = 0, x_row = 0;
    uint64_t w_ih = 0, w_hh = 0, w_hr = 0, bias = 0;  // (G H, I), (G H, P), (P, H), (W H): all that is added to the slots
    int64_t half = 0;  // whether a forward run packs the weights in bfloat16
    uint64_t h_first = 0, c_first = 0;                // (batch, P or H)
    uint64_t y = 0;                                   // (T, batch, P)
    int64_t y_step = 0, y_row = 0;
    uint64_t c = 0;      // (T, batch, H), or (batch, H) with c_step 0 where it is not kept
    int64_t c_step = 0;
    uint64_t gates = 0;  // (T, batch, W H), where they are kept
    uint64_t h_last = 0, c_last = 0;  // (batch, P), and (batch, H) where c is kept

    // Options of the LSTM, see lstm.h.
    int64_t without = 0;      // bits: no i, no f, no o, f = 1 - i, g as it comes, c put out as it is
    uint64_t peep_i = 0, peep_f = 0, peep_o = 0;                // (H)
    uint64_t gain_ih = 0, gain_hh = 0, bias_ih = 0, bias_hh = 0, gain_c = 0, bias_c = 0;  // layer norms
    uint64_t mask_h = 0;      // (batch, P), on the h that W_hh reads
    uint64_t zone_h = 0, zone_c = 0;  // (T, batch, P or H): where not 0 the old value stays
    double rate_h = 0, rate_c = 0;    // or the share of the old value
    double clip = 0;          // bound of c; 0 for none
    double eps = 0;
    double beta = 0;          // JANET's

    // Backward. Gradients that are not wanted have address 0.
    uint64_t grad_y = 0;
    int64_t grad_y_step = 0, grad_y_row = 0;
    uint64_t grad_h = 0, grad_c = 0;  // (batch, …) of the last state; becomes that of the first
    uint64_t grad_x = 0;
    int64_t grad_x_step = 0, grad_x_row = 0;
    uint64_t grad_w_ih = 0, grad_w_hh = 0, grad_w_hr = 0, grad_bias = 0;
    uint64_t grad_peep_i = 0, grad_peep_f = 0, grad_peep_o = 0;
    uint64_t grad_gain_ih = 0, grad_gain_hh = 0, grad_bias_ih = 0, grad_bias_hh = 0, grad_gain_c = 0, grad_bias_c = 0;

    // Set by the engine.
    int64_t backward = 0;
    uint64_t rows = 0;     // those of one thread, longest first
    int64_t count = 0;
    uint64_t shared = 0;   // packed weights
    uint64_t scratch = 0;  // of one thread
};

// What one instruction set offers, for float and for double.
struct Engine {
    size_t (*shared_size[2])(const Call&);
    void (*prepare[2])(const Call&);  // packs the weights into `shared`
    size_t (*scratch_size[2])(const Call&);
    void (*run[2])(const Call&);      // the rows of one thread
    void (*finish[2])(const Call&);   // adds the weight gradients in `scratch` to those of the call
    void (*activate)(int which, int64_t n, const float* x, float* y);  // 0 logistic, 1 tanh
};

extern const Engine avx512_engine, avx2_engine, portable_engine;

// The engine of a set that ``instruction_sets`` names; the portable one for any other name.
const Engine& engine_named(const std::string& name);

// Runs the calls, each a layer in one direction, their rows dealt out to threads: one thread runs all steps of its rows.
void run(const Engine& engine, bool wide, Call* calls, int64_t count, int64_t threads);

}  // namespace unroll
