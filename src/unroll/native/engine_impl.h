// The engine of one instruction set: included by one file for each, which says BYTES, REGISTERS, MOST_WIDE, MOST_TALL,
// ISA (a namespace) and NAME (the table's name).
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
#include "panels.h"
#include "cells.h"

template <class T>
size_t packed_size(int64_t units, int gates, int64_t inner, bool few_rows) {
    return size_of<T>(plan<T>(int(units), gates, int(inner), few_rows));
}

template <class T>
void pack_weights(int64_t units, int gates, int64_t inner, bool few_rows, const void* weights, int64_t unit_stride,
                  int64_t gate_stride, int64_t inner_stride, void* packed) {
    Plan p = plan<T>(int(units), gates, int(inner), few_rows);
    pack(p, static_cast<const T*>(weights), unit_stride, gate_stride, inner_stride, static_cast<T*>(packed));
}

template <class T>
Block<T> block(const Call& call) {
    Block<T> b{};
    b.kind = Kind(call.kind);
    b.steps = call.steps, b.batch = call.batch, b.hidden = call.hidden;
    b.lengths = call.lengths, b.rows = call.rows, b.count = call.count, b.scratch = call.scratch;
    b.x_gates = static_cast<T*>(call.x_gates), b.h_gates = static_cast<T*>(call.h_gates);
    b.bias_hn = static_cast<const T*>(call.bias_hn), b.h_first = static_cast<const T*>(call.h_first);
    b.y = static_cast<T*>(call.y);
    b.c_first = static_cast<const T*>(call.c_first), b.c = static_cast<T*>(call.c), b.c_step = call.c_step;
    b.grad_y = static_cast<const T*>(call.grad_y);
    b.grad_h = static_cast<T*>(call.grad_h), b.grad_c = static_cast<T*>(call.grad_c);
    return b;
}

template <class T>
void run_forward(const Call& call) {
    const Block<T> b = block<T>(call);
    forward(b, plan<T>(int(b.hidden), gates_of(b.kind), int(b.hidden), call.few_rows), static_cast<const T*>(call.packed));
}

template <class T>
void run_backward(const Call& call) {
    const Block<T> b = block<T>(call);
    const int H = int(b.hidden), G = gates_of(b.kind);
    backward(b, plan<T>(H, G, H, false), static_cast<const T*>(call.packed), plan<T>(H, 1, G * H, call.few_rows),
             static_cast<const T*>(call.packed_back));
}

void activate(int which, int64_t n, const float* x, float* y) {
    constexpr int N = Simd<float>::N;
    for (int64_t i = 0; i < n; i += N) {
        const int part = least(N, n - i);
        Vec<float> v = load_part(x + i, part);
        store_part(y + i, which ? tanh(v) : logistic(v), part);
    }
}

}  // namespace ISA

const Engine NAME = {
    {ISA::packed_size<float>, ISA::packed_size<double>},
    {ISA::pack_weights<float>, ISA::pack_weights<double>},
    {ISA::run_forward<float>, ISA::run_forward<double>},
    {ISA::run_backward<float>, ISA::run_backward<double>},
    ISA::activate,
};

}  // namespace unroll
