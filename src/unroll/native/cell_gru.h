// h = (1 - z) n + z h, or with z that writes, h = (1 - z) h + z n.

// What is kept of h, from z.
template <bool writes, class T>
inline Vec<T> kept(Vec<T> z) {
    if constexpr (writes) return 1 - z;
    else return z;
}

// The gradient of z before its logistic function.
template <bool writes, class T>
inline Vec<T> update_gradient(Vec<T> dh, Vec<T> h, Vec<T> n, Vec<T> z) {
    const Vec<T> apart = writes ? n - h : h - n;
    return dh * apart * z * (1 - z);
}

// n = tanh(a_n + r q), q = W_hn h + b_hn; slots n, r, z, q, of which x gives the first three and h the last three.
template <bool writes>
struct Gru {
    static constexpr bool gated = true, second = false, options = false;
    static Slots slots(const Call&) { return {4, 3, 1, 4, 1}; }

    template <class T>
    struct Gates {
        Vec<T> n, r, z, q;
    };

    template <class T>
    static Gates<T> gates(const T* a, int64_t H, int lanes) {
        const Vec<T> r = logistic(load_part(a + H, lanes)), q = load_part(a + 3 * H, lanes);
        return {tanh(load_part(a, lanes) + r * q), r, logistic(load_part(a + 2 * H, lanes)), q};
    }

    template <class T, bool keep>
    static void advance(const Layer<T>& l, const Row<T>& row) {
        const int64_t H = l.H;
        each_vector<T>(H, [&](int64_t i, int lanes) {
            const Gates<T> g = gates(row.pre + i, H, lanes);
            if constexpr (keep) put(row.pre + i, H, lanes, g);
            store_part(row.h + i, g.n + kept<writes, T>(g.z) * (load_part(row.h_old + i, lanes) - g.n), lanes);
        });
    }

    template <class T>
    static void put(T* a, int64_t H, int lanes, const Gates<T>& g) {
        store_part(a, g.n, lanes), store_part(a + H, g.r, lanes), store_part(a + 2 * H, g.z, lanes);
    }

    template <class T>
    static void activate(const Layer<T>& l, const Row<T>& row) {
        const int64_t H = l.H;
        each_vector<T>(H, [&](int64_t i, int lanes) { put(row.pre + i, H, lanes, gates(row.pre + i, H, lanes)); });
    }

    template <class T>
    static void retreat(const Layer<T>& l, const Row<T>& row) {
        const int64_t H = l.H;
        each_vector<T>(H, [&](int64_t i, int lanes) {
            const T* a = row.gates + i;
            T* d = row.pre + i;
            const Vec<T> n = load_part(a, lanes), r = load_part(a + H, lanes), z = load_part(a + 2 * H, lanes);
            const Vec<T> q = load_part(a + 3 * H, lanes), h = load_part(row.h_old + i, lanes), dh = load_part(row.dh + i, lanes);
            const Vec<T> stays = kept<writes, T>(z), dn = dh * (1 - stays) * (1 - n * n);
            store_part(d, dn, lanes);
            store_part(d + H, dn * q * r * (1 - r), lanes);
            store_part(d + 2 * H, update_gradient<writes, T>(dh, h, n, z), lanes);
            store_part(d + 3 * H, dn * r, lanes);
            store_part(row.dh + i, dh * stays, lanes);
        });
    }
};

// n = tanh(a_n + W_hn (r h)); slots r, z, n, of which r and z read h and n reads r h.
template <bool writes>
struct GruBefore : SecondProduct<2> {
    static Slots slots(const Call&) { return {3, 3, 0, 2, 0}; }

    template <class T>
    static void let_through(const Layer<T>& l, const Row<T>& row) {
        const int64_t H = l.H;
        each_vector<T>(H, [&](int64_t i, int lanes) {
            const Vec<T> r = logistic(load_part(row.pre + i, lanes));
            store_part(row.pre + i, r, lanes);
            store_part(row.pre + H + i, logistic(load_part(row.pre + H + i, lanes)), lanes);
            store_part(row.through + i, r * load_part(row.h_old + i, lanes), lanes);
        });
    }

    template <class T, bool keep>
    static void advance(const Layer<T>& l, const Row<T>& row) {
        const int64_t H = l.H;
        each_vector<T>(H, [&](int64_t i, int lanes) {
            const Vec<T> n = tanh(load_part(row.pre + 2 * H + i, lanes)), z = load_part(row.pre + H + i, lanes);
            if constexpr (keep) store_part(row.pre + 2 * H + i, n, lanes);
            store_part(row.h + i, n + kept<writes, T>(z) * (load_part(row.h_old + i, lanes) - n), lanes);
        });
    }

    template <class T>
    static void retreat(const Layer<T>& l, const Row<T>& row) {
        const int64_t H = l.H;
        each_vector<T>(H, [&](int64_t i, int lanes) {
            const Vec<T> z = load_part(row.gates + H + i, lanes), n = load_part(row.gates + 2 * H + i, lanes);
            const Vec<T> h = load_part(row.h_old + i, lanes), dh = load_part(row.dh + i, lanes), stays = kept<writes, T>(z);
            store_part(row.pre + H + i, update_gradient<writes, T>(dh, h, n, z), lanes);
            store_part(row.pre + 2 * H + i, dh * (1 - stays) * (1 - n * n), lanes);
            store_part(row.dh + i, dh * stays, lanes);
        });
    }

    // `through` holds the gradient of r h.
    template <class T>
    static void retreat_through(const Layer<T>& l, const Row<T>& row, const T* through) {
        each_vector<T>(l.H, [&](int64_t i, int lanes) {
            const Vec<T> r = load_part(row.gates + i, lanes), d = load_part(through + i, lanes);
            store_part(row.pre + i, d * load_part(row.h_old + i, lanes) * r * (1 - r), lanes);
            store_part(row.dh + i, load_part(row.dh + i, lanes) + d * r, lanes);
        });
    }
};
