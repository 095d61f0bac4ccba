#include "bind_linear.h"

#include <nanobind/stl/array.h>
#include <nanobind/stl/string.h>

#include <algorithm>
#include <array>
#include <exception>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "linear.h"

namespace nb = nanobind;

namespace {

using unroll::LinearEngine;
using unroll::Recurrence;

const LinearEngine& linear_named(const std::string& name) {
#if defined(UNROLL_X86)
    if (name == "avx512") return unroll::avx512_linear;
    if (name == "avx2") return unroll::avx2_linear;
#endif
    return unroll::portable_linear;
}

template <class T>
T* at(uint64_t address) {
    return reinterpret_cast<T*>(address);
}

void require(bool holds, const char* what) {
    if (!holds) throw std::invalid_argument(what);
}

// Where an array begins, and its strides of a step and of a row.
using Array = std::array<int64_t, 3>;

void recur(const std::string& isa, int kind, int type, std::array<int64_t, 3> shape, int threads, std::array<bool, 3> how,
           Array a, Array b, Array skip, uint64_t first, uint64_t resets, uint64_t state, uint64_t output) {
    require(kind >= 0 && kind <= 3 && type >= 0 && type <= 3, "kind and type must be 0 to 3");
    const auto work = linear_named(isa).run[kind][type];
    require(work != nullptr, "only the linear recurrence has complex numbers");
    Recurrence call{};
    call.steps = shape[0], call.batch = shape[1], call.features = shape[2];
    require(call.steps > 0 && call.batch > 0 && call.features > 0 && threads > 0, "sizes must be positive");
    call.reverse = how[0], call.late = how[1], call.conjugate = how[2];
    call.a = at<void>(a[0]), call.a_step = a[1], call.a_row = a[2];
    call.b = at<void>(b[0]), call.b_step = b[1], call.b_row = b[2];
    call.skip = at<void>(skip[0]), call.skip_step = skip[1], call.skip_row = skip[2];
    call.first = at<void>(first), call.resets = at<uint8_t>(resets);
    call.state = at<void>(state), call.output = at<void>(output);
    require(call.a && call.b && call.state && (kind != 3 || (call.skip && call.output)), "an array is missing");
    nb::gil_scoped_release released;
    const int64_t parts = call.batch * unroll::parts_of_row(call), count = std::min<int64_t>(threads, parts);
    // From here on nothing may throw: a thread that ends so takes the process with it.
    auto share = [&](int64_t i) noexcept {
        Recurrence own = call;
        own.from = parts * i / count, own.to = parts * (i + 1) / count;
        work(own);
    };
    std::vector<std::thread> others;
    others.reserve(count - 1);
    int64_t started = 1;
    try {
        for (; started < count; ++started) others.emplace_back(share, started);
    } catch (const std::exception&) {
        // The system gives no more threads: this one does their work.
    }
    share(0);
    for (int64_t i = started; i < count; ++i) share(i);
    for (std::thread& other : others) other.join();
}

}  // namespace

void bind_linear(nb::module_& m) {
    m.def("recur", &recur, "A recurrence of linear.h over all steps.");
}
