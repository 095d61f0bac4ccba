#include <algorithm>
#include <exception>
#include <numeric>
#include <thread>
#include <vector>

#include "engine.h"

namespace unroll {

void run(void (*work)(const Call&), Call call, bool backward) {
    std::vector<int64_t> order(call.batch);
    std::iota(order.begin(), order.end(), int64_t(0));
    if (call.lengths)
        std::stable_sort(order.begin(), order.end(),
                         [&](int64_t a, int64_t b) { return call.lengths[a] > call.lengths[b]; });
    const int64_t threads = std::max<int64_t>(1, std::min<int64_t>(call.threads, call.batch));
    call.few_rows = call.batch < 4 * threads;
    std::vector<std::vector<int64_t>> rows(threads);
    for (int64_t i = 0; i < call.batch; ++i) rows[i % threads].push_back(order[i]);
    std::vector<std::vector<int64_t>> scratch(threads);
    for (int64_t i = 0; i < threads; ++i) scratch[i].resize(3 * rows[i].size() * (backward ? call.steps : 1));
    // From here on nothing may throw: a thread that ends so takes the process with it.
    auto part = [&](int64_t i) noexcept {
        Call own = call;
        own.rows = rows[i].data(), own.count = int64_t(rows[i].size()), own.scratch = scratch[i].data();
        work(own);
    };
    std::vector<std::thread> others;
    others.reserve(threads - 1);
    int64_t started = 1;
    try {
        for (; started < threads; ++started) others.emplace_back(part, started);
    } catch (const std::exception&) {
        // The system gives no more threads: this one does their work.
    }
    part(0);
    for (int64_t i = started; i < threads; ++i) part(i);
    for (std::thread& other : others) other.join();
}

}  // namespace unroll
