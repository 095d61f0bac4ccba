#include <algorithm>
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
    auto part = [&](int64_t i) {
        Call own = call;
        std::vector<int64_t> scratch(3 * rows[i].size() * (backward ? call.steps : 1) + 1);
        own.rows = rows[i].data(), own.count = int64_t(rows[i].size()), own.scratch = scratch.data();
        work(own);
    };
    std::vector<std::thread> others;
    for (int64_t i = 1; i < threads; ++i) others.emplace_back(part, i);
    part(0);
    for (std::thread& other : others) other.join();
}

}  // namespace unroll
