#include "stream.h"

#include <cstring>
#include <numeric>
#include <utility>

namespace unroll {

namespace {

uint64_t address(const Memory& held) { return reinterpret_cast<uint64_t>(held.get()); }

}  // namespace

Stream::Stream(const Engine& own, bool is_wide, const std::vector<Call>& layers)
    : engine(own), wide(is_wide), element(is_wide ? 8 : 4), rows(layers.empty() ? 0 : size_t(layers[0].batch)) {
    std::iota(rows.begin(), rows.end(), int64_t(0));
    for (Call call : layers) {
        call.rows = reinterpret_cast<uint64_t>(rows.data()), call.count = call.batch;
        shared.push_back(memory(engine.shared_size[wide](call)));
        call.shared = address(shared.back());
        engine.prepare[wide](call);
        scratch.push_back(memory(engine.scratch_size[wide](call)));
        call.scratch = address(scratch.back());
        calls.push_back(call);
    }
}

void Stream::step(uint64_t x, uint64_t out) {
    for (Call& call : calls) {
        call.x = x;
        engine.run[wide](call);
        x = call.y;
        std::swap(call.h_first, call.y);
    }
    if (calls.empty()) return;
    const Call& last = calls.back();
    std::memcpy(reinterpret_cast<void*>(out), reinterpret_cast<const void*>(x), size_t(last.batch * last.output * element));
    odd = !odd;
}

}  // namespace unroll
