#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace unroll {

struct Free {
    void operator()(void* p) const { std::free(p); }
};
using Memory = std::unique_ptr<void, Free>;

// Asks for large pages where a fresh array is large: most of a long call's time in the system goes into small ones.
inline void large_pages(uint64_t address, int64_t bytes) {
#if defined(__linux__)
    constexpr uint64_t page = 1 << 21;
    const uint64_t begin = (address + page - 1) / page * page, end = (address + uint64_t(bytes)) / page * page;
    if (address && end > begin) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
#endif
}

inline Memory memory(size_t bytes) {
    Memory held(bytes ? std::aligned_alloc(64, (bytes + 63) / 64 * 64) : nullptr);
    if (bytes && !held) throw std::bad_alloc();
    large_pages(reinterpret_cast<uint64_t>(held.get()), int64_t(bytes));
    return held;
}

}  // namespace unroll
