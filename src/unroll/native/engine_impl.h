// The engine of one instruction set: included by one file for each, which says BYTES, MOST_WIDE and MOST_TALL (vectors in a
// panel), ROWS_WIDE and ROWS_TALL (rows beside it), ISA (a namespace) and NAME (the table's name).
//
// Nothing of the standard library's templates: an inline function compiled here for a wide set could be the one that the
// linker keeps for all.
#include <cmath>
#include <cstdint>
#include <cstring>

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

#include "engine.h"

namespace unroll {
namespace ISA {

#include "simd.h"
#include "product.h"
#include "layer.h"
#include "work.h"
#include "cell_rnn.h"
#include "cell_lstm.h"
#include "cell_second.h"
#include "cell_gru.h"
#include "cell_minimal.h"
#include "cell_lstm_options.h"
#include "forward.h"
#include "backward.h"

// f of the call's cell.
template <class F>
auto with_cell(const Call& call, F f) {
    switch (Kind(call.kind)) {
        case Kind::rnn_tanh: return f(Rnn<true>{});
        case Kind::rnn_relu: return f(Rnn<false>{});
        case Kind::lstm: return f(Lstm{});
        case Kind::gru: return f(Gru<false>{});
        case Kind::gru_write: return f(Gru<true>{});
        case Kind::gru_before: return f(GruBefore<false>{});
        case Kind::gru_before_write: return f(GruBefore<true>{});
        case Kind::mgu: return f(Mgu{});
        case Kind::janet: return f(Janet{});
        default: return f(LstmOptions{});
    }
}

template <class T>
Layer<T> layer(const Call& call) {
    return with_cell(call, [&](auto cell) { return Layer<T>(call, decltype(cell)::slots(call)); });
}

template <class T>
size_t shared_size(const Call& call) {
    Arena<T> nowhere{nullptr};
    return layer<T>(call).place(nowhere);
}

template <class T>
void prepare(const Call& call) {
    layer<T>(call).prepare();
}

template <class T>
size_t scratch_size(const Call& call) {
    Arena<T> nowhere{nullptr};
    const Layer<T> l = layer<T>(call);
    Work<T> measured(l, nowhere);
    return nowhere.used;
}

template <class T>
void run_rows(const Call& call) {
    const Layer<T> l = layer<T>(call);
    Work<T> w(l);
    with_cell(call, [&](auto cell) {
        using Cell = decltype(cell);
        if (call.backward) backward<T, Cell>(l, w);
        else if (call.gates) forward<T, Cell, true>(l, w);
        else forward<T, Cell, false>(l, w);
    });
}

template <class T>
void finish_rows(const Call& call) {
    const Layer<T> l = layer<T>(call);
    finish(l, Work<T>(l));
}

void activate(int which, int64_t n, const float* x, float* y) {
    constexpr int N = Simd<float>::N;
    for (int64_t i = 0; i < n; i += N) {
        const int part = int(least(N, n - i));
        Vec<float> v = load_part(x + i, part);
        store_part(y + i, which ? tanh(v) : logistic(v), part);
    }
}

}  // namespace ISA

const Engine NAME = {
    {ISA::shared_size<float>, ISA::shared_size<double>},
    {ISA::prepare<float>, ISA::prepare<double>},
    {ISA::scratch_size<float>, ISA::scratch_size<double>},
    {ISA::run_rows<float>, ISA::run_rows<double>},
    {ISA::finish_rows<float>, ISA::finish_rows<double>},
    ISA::activate,
};

}  // namespace unroll
