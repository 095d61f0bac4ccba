// c = f c + i g, h = o tanh(c); slots i, f, g, o.
struct Lstm {
    static constexpr bool gated = true, second = false, options = false;
    static Slots slots(const Call&) { return {4, 4, 0, 4, 0}; }

    template <class T>
    struct Gates {
        Vec<T> i, f, g, o;
    };

    template <class T>
    static Gates<T> gates(const T* a, int64_t H, int n) {
        return {logistic(load_part(a, n)), logistic(load_part(a + H, n)), tanh(load_part(a + 2 * H, n)),
                logistic(load_part(a + 3 * H, n))};
    }

    template <class T>
    static void put(T* a, int64_t H, int n, const Gates<T>& g) {
        store_part(a, g.i, n), store_part(a + H, g.f, n), store_part(a + 2 * H, g.g, n), store_part(a + 3 * H, g.o, n);
    }

    template <class T, bool keep>
    static void advance(const Layer<T>& l, const Row<T>& row) {
        each_vector<T>(l.H, [&](int64_t i, int n) {
            const Gates<T> g = gates(row.pre + i, l.H, n);
            if constexpr (keep) put(row.pre + i, l.H, n, g);
            const Vec<T> c = g.f * load_part(row.c_old + i, n) + g.i * g.g;
            store_part(row.c + i, c, n);
            store_part(row.h + i, g.o * tanh(c), n);
        });
    }

    template <class T>
    static void activate(const Layer<T>& l, const Row<T>& row) {
        each_vector<T>(l.H, [&](int64_t i, int n) { put(row.pre + i, l.H, n, gates(row.pre + i, l.H, n)); });
    }

    template <class T>
    static void retreat(const Layer<T>& l, const Row<T>& row) {
        const int64_t H = l.H;
        each_vector<T>(H, [&](int64_t at, int n) {
            const T* a = row.gates + at;
            const Vec<T> i = load_part(a, n), f = load_part(a + H, n), g = load_part(a + 2 * H, n), o = load_part(a + 3 * H, n);
            const Vec<T> c_old = load_part(row.c_old + at, n), t = tanh(load_part(row.c + at, n));
            const Vec<T> dh = load_part(row.dh + at, n), dc = load_part(row.dc + at, n) + dh * o * (1 - t * t);
            put(row.pre + at, H, n,
                {dc * g * i * (1 - i), dc * c_old * f * (1 - f), dc * i * (1 - g * g), dh * t * o * (1 - o)});
            store_part(row.dc + at, dc * f, n);
            store_part(row.dh + at, Vec<T>{}, n);
        });
    }
};
