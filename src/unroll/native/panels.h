// Weights packed for products of a few rows at a time.
//
// Outputs are taken N at a time, a vector of units for each of G gates. A panel holds U such vectors: for every k its
// C = U · G vectors side by side, gate by gate. The units of the last vector that do not exist have weights of 0.

inline int least(int64_t a, int64_t b) { return int(a < b ? a : b); }

struct Panel {
    int first;      // first unit
    int vectors;    // U; 0 past the last
    size_t offset;  // into the packed weights
};

struct Plan {
    int units, gates, inner, most;  // most: vectors of units in a panel

    Panel panel(int first, size_t offset, int N) const {
        int left = (units - first + N - 1) / N;
        int u = left < most ? left : most;
        if (gates == 1)
            while (u & (u - 1)) u &= u - 1;  // 1, 2, 4 or 8
        return {first, u > 0 ? u : 0, offset};
    }
    Panel begin(int N) const { return panel(0, 0, N); }
    Panel next(const Panel& p, int N) const {
        return panel(p.first + p.vectors * N, p.offset + size_t(inner) * gates * p.vectors * N, N);
    }
};

// With few rows at a time a panel is wide, so that there are sums enough to hide the time an addition takes.
template <class T>
inline Plan plan(int units, int gates, int inner, bool few_rows) {
    int most = (few_rows ? MOST_WIDE : MOST_TALL) / gates;
    return {units, gates, inner, most > 1 ? most : 1};
}

template <class T>
inline size_t size_of(const Plan& p) {
    Panel panel = p.begin(Simd<T>::N);
    while (panel.vectors) panel = p.next(panel, Simd<T>::N);
    return panel.offset;
}

// The weight of unit u, gate g and input k lies at w[u * su + g * sg + k * sk].
template <class T>
inline void pack(const Plan& p, const T* w, int64_t su, int64_t sg, int64_t sk, T* packed) {
    constexpr int N = Simd<T>::N;
    for (Panel panel = p.begin(N); panel.vectors; panel = p.next(panel, N)) {
        T* out = packed + panel.offset;
        for (int k = 0; k < p.inner; ++k)
            for (int g = 0; g < p.gates; ++g)
                for (int i = 0; i < panel.vectors * N; ++i) {
                    int unit = panel.first + i;
                    *out++ = unit < p.units ? w[unit * su + g * sg + k * sk] : T(0);
                }
    }
}

// out[r][c] = sum over k of rows[r][k] · panel[k][c], in the order of k whatever R and C are, so that a row's result does
// not depend on the rows beside it, nor on the number of threads.
template <class T, int R, int C>
inline void product(const T* const* rows, const T* panel, int64_t inner, T* out) {
    constexpr int N = Simd<T>::N;
    Vec<T> sum[R][C];
    for (int r = 0; r < R; ++r)
        for (int c = 0; c < C; ++c) sum[r][c] = Vec<T>{};
    for (int64_t k = 0; k < inner; ++k) {
        Vec<T> w[C];
        for (int c = 0; c < C; ++c) w[c] = load(panel + c * N);
        panel += C * N;
        for (int r = 0; r < R; ++r) {
            Vec<T> a = all(rows[r][k]);
            for (int c = 0; c < C; ++c) sum[r][c] += a * w[c];
        }
    }
    for (int r = 0; r < R; ++r)
        for (int c = 0; c < C; ++c) store(out + (r * C + c) * N, sum[r][c]);
}

template <class T, int C>
inline int product_of(int rows, const T* const* row, const T* panel, int64_t inner, T* out) {
    constexpr int most = REGISTERS / C;
    if constexpr (most >= 8) if (rows >= 8) return product<T, 8, C>(row, panel, inner, out), 8;
    if constexpr (most >= 6) if (rows >= 6) return product<T, 6, C>(row, panel, inner, out), 6;
    if constexpr (most >= 4) if (rows >= 4) return product<T, 4, C>(row, panel, inner, out), 4;
    if constexpr (most >= 3) if (rows >= 3) return product<T, 3, C>(row, panel, inner, out), 3;
    if constexpr (most >= 2) if (rows >= 2) return product<T, 2, C>(row, panel, inner, out), 2;
    return product<T, 1, C>(row, panel, inner, out), 1;
}

// As many rows as go at once, at most `rows`; returns how many.
template <class T>
inline int multiply(int rows, const T* const* row, const T* panel, int C, int64_t inner, T* out) {
    switch (C) {
        case 1: return product_of<T, 1>(rows, row, panel, inner, out);
        case 2: return product_of<T, 2>(rows, row, panel, inner, out);
        case 3: return product_of<T, 3>(rows, row, panel, inner, out);
        case 4: return product_of<T, 4>(rows, row, panel, inner, out);
        case 6: return product_of<T, 6>(rows, row, panel, inner, out);
        case 8: return product_of<T, 8>(rows, row, panel, inner, out);
        default: return product_of<T, 9>(rows, row, panel, inner, out);
    }
}
