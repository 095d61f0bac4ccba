#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <stdexcept>

#include "cpu.h"
#ifdef UNROLL_ENGINE
#include "bind_linear.h"
#include "engine.h"
#endif

namespace nb = nanobind;

namespace {

#ifdef UNROLL_ENGINE

using unroll::Call;
using unroll::engine_named;

// Addresses come from Python as numbers; 0 is none. What they point to has been checked there: contiguous arrays of the
// shapes that cells.h gives.
template <class T>
T* at(uint64_t address) {
    return reinterpret_cast<T*>(address);
}

void require(bool holds, const char* what) {
    if (!holds) throw std::invalid_argument(what);
}

size_t packed_size(const std::string& isa, bool wide, int64_t units, int gates, int64_t inner, bool few_rows) {
    require(units > 0 && gates > 0 && gates <= 4 && inner > 0, "units, gates and inner must be positive");
    require(units < (1 << 24) && inner < (1 << 26), "the weights are too large");
    return engine_named(isa).packed_size[wide](units, gates, inner, few_rows);
}

void pack(const std::string& isa, bool wide, int64_t units, int gates, int64_t inner, bool few_rows, uint64_t weights,
          int64_t unit_stride, int64_t gate_stride, int64_t inner_stride, uint64_t packed) {
    packed_size(isa, wide, units, gates, inner, few_rows);
    require(weights && packed, "weights and packed must be given");
    nb::gil_scoped_release released;
    engine_named(isa).pack[wide](units, gates, inner, few_rows, at<void>(weights), unit_stride, gate_stride, inner_stride,
                                 at<void>(packed));
}

Call checked(int kind, int64_t steps, int64_t batch, int64_t hidden, int threads) {
    require(kind >= 0 && kind <= 3, "kind must be 0 to 3");
    require(steps > 0 && batch > 0 && hidden > 0 && threads > 0, "steps, batch, hidden and threads must be positive");
    require(hidden < (1 << 24), "the weights are too large");
    Call call{};
    call.kind = kind, call.steps = steps, call.batch = batch, call.hidden = hidden, call.threads = threads;
    return call;
}

void forward(const std::string& isa, bool wide, int kind, int64_t steps, int64_t batch, int64_t hidden, int threads,
             uint64_t lengths, uint64_t x_gates, uint64_t bias_hn, uint64_t h_first, uint64_t y, uint64_t c_first,
             uint64_t c, int64_t c_step, uint64_t packed) {
    Call call = checked(kind, steps, batch, hidden, threads);
    require(x_gates && h_first && y && packed && (kind != 2 || (c_first && c)), "an array is missing");
    call.lengths = at<int64_t>(lengths), call.x_gates = at<void>(x_gates), call.bias_hn = at<void>(bias_hn);
    call.h_first = at<void>(h_first), call.y = at<void>(y), call.c_first = at<void>(c_first), call.c = at<void>(c);
    call.c_step = c_step, call.packed = at<void>(packed);
    nb::gil_scoped_release released;
    unroll::run(engine_named(isa).forward[wide], call, false);
}

void backward(const std::string& isa, bool wide, int kind, int64_t steps, int64_t batch, int64_t hidden, int threads,
              uint64_t lengths, uint64_t x_gates, uint64_t h_gates, uint64_t bias_hn, uint64_t h_first, uint64_t y,
              uint64_t c_first, uint64_t c, uint64_t grad_y, uint64_t grad_h, uint64_t grad_c, uint64_t packed,
              uint64_t packed_back) {
    Call call = checked(kind, steps, batch, hidden, threads);
    require(x_gates && h_first && y && grad_y && grad_h && packed_back, "an array is missing");
    require(kind != 2 || (c_first && c && grad_c && packed), "an array of the LSTM is missing");
    require(kind != 3 || (h_gates && packed), "an array of the GRU is missing");
    call.lengths = at<int64_t>(lengths), call.x_gates = at<void>(x_gates), call.h_gates = at<void>(h_gates);
    call.bias_hn = at<void>(bias_hn), call.h_first = at<void>(h_first), call.y = at<void>(y);
    call.c_first = at<void>(c_first), call.c = at<void>(c), call.c_step = batch * hidden;
    call.grad_y = at<void>(grad_y), call.grad_h = at<void>(grad_h), call.grad_c = at<void>(grad_c);
    call.packed = at<void>(packed), call.packed_back = at<void>(packed_back);
    nb::gil_scoped_release released;
    unroll::run(engine_named(isa).backward[wide], call, true);
}

void activate(const std::string& isa, bool hyperbolic, int64_t n, uint64_t x, uint64_t y) {
    require(n >= 0 && (n == 0 || (x && y)), "an array is missing");
    engine_named(isa).activate(hyperbolic, n, at<float>(x), at<float>(y));
}

#endif

}  // namespace

NB_MODULE(_native, m) {
    m.doc() = "unroll's C++ core";
    m.def("instruction_sets", &unroll::instruction_sets,
          "Vector instruction sets this machine offers, widest first; always ends with 'portable'.");
    m.def("compiler", &unroll::compiler, "The compiler that built this module.");
#ifdef UNROLL_ENGINE
    m.def("packed_size", &packed_size, "Elements of the packed weights.");
    m.def("pack", &pack, "Weights in the order in which a product reads them.");
    m.def("forward", &forward, "A block of steps.");
    m.def("backward", &backward, "A block of steps, back.");
    m.def("activate", &activate, "The logistic function or tanh of n floats, as the engine computes them.");
    bind_linear(m);
#endif
}
