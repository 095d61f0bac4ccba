// h = tanh(a) or relu(a), one slot: a.
template <bool hyperbolic>
struct Rnn {
    static constexpr bool gated = false, second = false, options = false;
    static Slots slots(const Call&) { return {1, 1, 0, 1, 0}; }

    template <class T, bool keep>
    static void advance(const Layer<T>& l, const Row<T>& row) {
        each_vector<T>(l.H, [&](int64_t i, int n) {
            const Vec<T> a = load_part(row.pre + i, n);
            if constexpr (hyperbolic) store_part(row.h + i, tanh(a), n);
            else store_part(row.h + i, relu<T>(a), n);
        });
    }

    template <class T>
    static void retreat(const Layer<T>& l, const Row<T>& row) {
        each_vector<T>(l.H, [&](int64_t i, int n) {
            const Vec<T> h = load_part(row.h + i, n), dh = load_part(row.dh + i, n), zero{};
            if constexpr (hyperbolic) store_part(row.pre + i, dh * (1 - h * h), n);
            else store_part(row.pre + i, h <= zero ? zero : dh, n);
            store_part(row.dh + i, zero, n);
        });
    }
};
