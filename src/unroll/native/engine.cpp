#include "engine.h"

namespace unroll {

const Engine& engine_named(const std::string& name) {
#if defined(UNROLL_X86)
    if (name == "avx512") return avx512_engine;
    if (name == "avx2") return avx2_engine;
#elif defined(__aarch64__)
    if (name == "neon") return portable_engine;
#endif
    return portable_engine;
}

}  // namespace unroll
