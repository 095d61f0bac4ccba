#pragma once

#include <string>
#include <vector>

namespace unroll {

// Vector instruction sets that both this processor and its operating system offer, widest first.
std::vector<std::string> instruction_sets();

// The compiler that built this module, as "gcc 12.2.0".
std::string compiler();

}  // namespace unroll
