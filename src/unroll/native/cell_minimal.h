// Cells of one gate.

// MGU: n = tanh(a_n + W_hn (f h)), h = (1 - f) h + f n; slots f, n.
struct Mgu : SecondProduct<1> {
    static Slots slots(const Call&) { return {2, 2, 0, 1, 0}; }

    template <class T>
    static void let_through(const Layer<T>& l, const Row<T>& row) {
        each_vector<T>(l.H, [&](int64_t i, int lanes) {
            const Vec<T> f = logistic(load_part(row.pre + i, lanes));
            store_part(row.pre + i, f, lanes);
            store_part(row.through + i, f * load_part(row.h_old + i, lanes), lanes);
        });
    }

    template <class T, bool keep>
    static void advance(const Layer<T>& l, const Row<T>& row) {
        const int64_t H = l.H;
        each_vector<T>(H, [&](int64_t i, int lanes) {
            const Vec<T> f = load_part(row.pre + i, lanes), n = tanh(load_part(row.pre + H + i, lanes));
            if constexpr (keep) store_part(row.pre + H + i, n, lanes);
            const Vec<T> h = load_part(row.h_old + i, lanes);
            store_part(row.h + i, h + f * (n - h), lanes);
        });
    }

    // What reaches f by the last line waits in its slot.
    template <class T>
    static void retreat(const Layer<T>& l, const Row<T>& row) {
        const int64_t H = l.H;
        each_vector<T>(H, [&](int64_t i, int lanes) {
            const Vec<T> f = load_part(row.gates + i, lanes), n = load_part(row.gates + H + i, lanes);
            const Vec<T> h = load_part(row.h_old + i, lanes), dh = load_part(row.dh + i, lanes);
            store_part(row.waiting + i, dh * (n - h), lanes);
            store_part(row.pre + H + i, dh * f * (1 - n * n), lanes);
            store_part(row.dh + i, dh * (1 - f), lanes);
        });
    }

    template <class T>
    static void retreat_through(const Layer<T>& l, const Row<T>& row, const T* through) {
        each_vector<T>(l.H, [&](int64_t i, int lanes) {
            const Vec<T> f = load_part(row.gates + i, lanes), d = load_part(through + i, lanes);
            const Vec<T> df = load_part(row.waiting + i, lanes) + d * load_part(row.h_old + i, lanes);
            store_part(row.pre + i, df * f * (1 - f), lanes);
            store_part(row.dh + i, load_part(row.dh + i, lanes) + d * f, lanes);
        });
    }
};

// JANET: f = σ(s), h = f h + (1 - σ(s - β)) g; slots s, g.
struct Janet {
    static constexpr bool gated = true, second = false, options = false;
    static Slots slots(const Call&) { return {2, 2, 0, 2, 0}; }

    template <class T, bool keep>
    static void advance(const Layer<T>& l, const Row<T>& row) {
        const int64_t H = l.H;
        const T beta = T(l.call.beta);
        each_vector<T>(H, [&](int64_t i, int lanes) {
            const Vec<T> s = load_part(row.pre + i, lanes), f = logistic(s), g = tanh(load_part(row.pre + H + i, lanes));
            if constexpr (keep) store_part(row.pre + i, f, lanes), store_part(row.pre + H + i, g, lanes);
            store_part(row.h + i, f * load_part(row.h_old + i, lanes) + (1 - logistic(s - beta)) * g, lanes);
        });
    }

    template <class T>
    static void activate(const Layer<T>& l, const Row<T>& row) {
        const int64_t H = l.H;
        each_vector<T>(H, [&](int64_t i, int lanes) {
            store_part(row.pre + i, logistic(load_part(row.pre + i, lanes)), lanes);
            store_part(row.pre + H + i, tanh(load_part(row.pre + H + i, lanes)), lanes);
        });
    }

    template <class T>
    static void retreat(const Layer<T>& l, const Row<T>& row) {
        const int64_t H = l.H;
        const T more = T(std::exp(l.call.beta));
        each_vector<T>(H, [&](int64_t i, int lanes) {
            const Vec<T> f = load_part(row.gates + i, lanes), g = load_part(row.gates + H + i, lanes);
            const Vec<T> k = f / (f + (1 - f) * more);  // σ(s - β) from σ(s)
            const Vec<T> h = load_part(row.h_old + i, lanes), dh = load_part(row.dh + i, lanes);
            store_part(row.pre + i, dh * (h * f * (1 - f) - g * k * (1 - k)), lanes);
            store_part(row.pre + H + i, dh * (1 - k) * (1 - g * g), lanes);
            store_part(row.dh + i, dh * f, lanes);
        });
    }
};
