#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "bind_linear.h"
#include "cpu.h"

namespace nb = nanobind;

#ifdef UNROLL_ENGINE
namespace unroll {
void bind_engine(nb::module_& m);
}
#endif

NB_MODULE(_native, m) {
    m.doc() = "unroll's C++ core";
    m.def("instruction_sets", &unroll::instruction_sets,
          "Vector instruction sets this machine offers, widest first; always ends with 'portable'.");
    m.def("compiler", &unroll::compiler, "The compiler that built this module.");
#ifdef UNROLL_ENGINE
    unroll::bind_engine(m);
    bind_linear(m);
#endif
}
