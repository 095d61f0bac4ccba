#include <algorithm>
#include <exception>
#include <memory>
#include <numeric>
#include <thread>
#include <vector>

#include "engine.h"
#include "memory.h"

namespace unroll {

namespace {

// A share of a call's rows.
struct Part {
    Call call;
    std::vector<int64_t> rows;
    Memory scratch;
};

// The rows of a call in as many parts as it has threads, each with its longest first.
std::vector<std::vector<int64_t>> dealt(const Call& call, int64_t parts) {
    std::vector<int64_t> order(call.batch);
    std::iota(order.begin(), order.end(), int64_t(0));
    std::vector<std::vector<int64_t>> rows(parts);
    if (const int64_t* lengths = reinterpret_cast<const int64_t*>(call.lengths)) {
        std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return lengths[a] > lengths[b]; });
        for (int64_t i = 0; i < call.batch; ++i) rows[i % parts].push_back(order[i]);
    } else {
        for (int64_t i = 0; i < call.batch; ++i) rows[i * parts / call.batch].push_back(i);
    }
    return rows;
}

void ask_for_large_pages(const Call& call, bool wide) {
    const int64_t bytes = wide ? 8 : 4, cells = call.steps * call.batch;
    if (call.backward) return large_pages(call.grad_x, cells * call.input * bytes);
    large_pages(call.y, cells * call.output * bytes);
    if (call.c_step) large_pages(call.c, cells * call.hidden * bytes);
    large_pages(call.gates, cells * call.slots * call.hidden * bytes);
}

}  // namespace

void run(const Engine& engine, bool wide, Call* calls, int64_t count, int64_t threads) {
    std::vector<Memory> shared;
    std::vector<Part> parts;
    for (int64_t i = 0; i < count; ++i) {
        Call& call = calls[i];
        ask_for_large_pages(call, wide);
        shared.push_back(memory(engine.shared_size[wide](call)));
        call.shared = reinterpret_cast<uint64_t>(shared.back().get());
        const int64_t each = std::max<int64_t>(1, std::min(call.batch, (threads + count - 1) / count));
        for (std::vector<int64_t>& rows : dealt(call, each)) parts.push_back({call, std::move(rows), {}});
    }
    for (Part& part : parts) {
        part.call.rows = reinterpret_cast<uint64_t>(part.rows.data());
        part.call.count = int64_t(part.rows.size());
        part.scratch = memory(engine.scratch_size[wide](part.call));
        part.call.scratch = reinterpret_cast<uint64_t>(part.scratch.get());
    }
    // From here on nothing may throw: a thread that ends so takes the process with it.
    for (int64_t i = 0; i < count; ++i) engine.prepare[wide](calls[i]);
    const int64_t workers = std::max<int64_t>(1, std::min<int64_t>(threads, int64_t(parts.size())));
    auto work = [&](int64_t first) noexcept {
        for (size_t i = size_t(first); i < parts.size(); i += size_t(workers)) engine.run[wide](parts[i].call);
    };
    std::vector<std::thread> others;
    others.reserve(size_t(workers - 1));
    int64_t started = 1;
    try {
        for (; started < workers; ++started) others.emplace_back(work, started);
    } catch (const std::exception&) {
        // The system gives no more threads: this one does their work.
    }
    work(0);
    for (int64_t i = started; i < workers; ++i) work(i);
    for (std::thread& other : others) other.join();
    for (Part& part : parts)
        if (part.call.backward) engine.finish[wide](part.call);
}

}  // namespace unroll
