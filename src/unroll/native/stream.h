#pragma once

#include <vector>

#include "engine.h"
#include "memory.h"

namespace unroll {

// Layers that advance one step at a time, on one thread, with their weights packed once. The calls' h_first and y change
// places after each step: an even number of steps after the first, the state lies where it began.
class Stream {
  public:
    Stream(const Engine& engine, bool wide, const std::vector<Call>& layers);
    Stream(const Stream&) = delete;
    // From x (batch, I) to out (batch, P) of the last layer, both contiguous.
    void step(uint64_t x, uint64_t out);
    bool odd = false;

  private:
    const Engine& engine;
    bool wide;
    int64_t element;
    std::vector<int64_t> rows;
    std::vector<Call> calls;
    std::vector<Memory> shared, scratch;
};

}  // namespace unroll
