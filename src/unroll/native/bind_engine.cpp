// The engine's calls as Python sees them: an object whose fields are sizes and addresses. What the addresses point to has
// been checked there.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include <stdexcept>
#include <vector>

#include "engine.h"
#include "stream.h"

namespace nb = nanobind;

namespace unroll {

namespace {

void require(bool holds, const char* what) {
    if (!holds) throw std::invalid_argument(what);
}

void check(const Call& call) {
    require(call.kind >= 0 && call.kind <= 9, "kind must be 0 to 9");
    require(call.steps > 0 && call.batch > 0 && call.input >= 0, "steps and batch must be positive, input not negative");
    require(call.hidden > 0 && call.hidden < (1 << 24) && call.input < (1 << 24), "hidden and input must be below 2^24");
    require(call.output > 0 && call.output <= call.hidden, "output must be positive and at most hidden");
    require(call.w_ih && call.w_hh && call.h_first && call.y, "an array is missing");
    require(call.x || !call.input, "x is missing");
    const bool lstm = call.kind == 2 || call.kind == 9;
    require(!lstm || (call.c_first && call.c), "an array of the LSTM is missing");
    require(lstm || call.output == call.hidden, "a projection needs the LSTM");
    require(call.output == call.hidden || call.w_hr, "the projection is missing");
    if (!call.backward) return;
    require(call.grad_h && (!lstm || (call.grad_c && call.c_step)), "an array of the backward run is missing");
    require(!call.w_hr || call.grad_w_hr, "the projection's gradient is missing");
}

std::vector<Call> checked(const std::vector<Call*>& given) {
    std::vector<Call> calls;
    for (const Call* call : given) {
        require(call, "a call is None");
        check(*call);
        calls.push_back(*call);
    }
    return calls;
}

void run_calls(const std::string& isa, bool wide, const std::vector<Call*>& given, int64_t threads) {
    require(threads > 0, "threads must be positive");
    std::vector<Call> calls = checked(given);
    nb::gil_scoped_release released;
    run(engine_named(isa), wide, calls.data(), int64_t(calls.size()), threads);
}

std::unique_ptr<Stream> stream_of(const std::string& isa, bool wide, const std::vector<Call*>& given) {
    const std::vector<Call> calls = checked(given);
    require(!calls.empty(), "a stream needs a layer");
    for (const Call& call : calls) require(call.steps == 1 && call.batch == calls[0].batch, "a stream's layers take one step");
    return std::make_unique<Stream>(engine_named(isa), wide, calls);
}

void activate(const std::string& isa, bool hyperbolic, int64_t n, uint64_t x, uint64_t y) {
    require(n >= 0 && (n == 0 || (x && y)), "an array is missing");
    engine_named(isa).activate(hyperbolic, n, reinterpret_cast<const float*>(x), reinterpret_cast<float*>(y));
}

}  // namespace

void bind_engine(nb::module_& m) {
    nb::class_<Call> call(m, "Call", "One layer in one direction: sizes, and addresses of arrays; see engine.h.");
    call.def(nb::init<>());
#define FIELD(name) call.def_rw(#name, &Call::name);
#include "fields.h"
#undef FIELD
    nb::class_<Stream>(m, "Stream", "Layers that advance a step at a time, their weights packed once; see stream.h.")
        .def("step", &Stream::step, "From the address of x to that of the output.")
        .def_ro("odd", &Stream::odd, "Whether the states lie in the second of their places.");
    m.def("stream", &stream_of, "A stream through layers, from calls of one step each.");
    m.def("run", &run_calls, "Run layers, each in one direction, on a number of threads.");
    m.def("activate", &activate, "The logistic function or tanh of n floats, as the engine computes them.");
}

}  // namespace unroll
