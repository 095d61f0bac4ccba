// Products with packed weights, and the products of gradients that give the gradient of a weight.
//
// The outputs of a weight matrix are taken N at a time, as vectors. Up to MOST_TALL vectors (MOST_WIDE where there are
// few rows) make a panel: for every k its vectors side by side. A sum runs over k in order, INNER of them at a time, whatever
// the panels, rows and blocks are, so that a row's result does not depend on the rows beside it, nor on the number of
// threads. Sums of sums round less than one long sum does.

inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
inline int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

constexpr int64_t AHEAD = 64 * MOST_TALL * 16;
constexpr int64_t INNER = 256;  // of k at a time: what of a panel the caches hold

template <class T>
struct Packed {
    int64_t outputs, inner, widest;
    bool half;  // in bfloat16
    T* at;

    int64_t vectors() const { return (outputs + Simd<T>::N - 1) / Simd<T>::N; }
    int64_t size() const { return vectors() * Simd<T>::N * inner / (half ? 2 : 1); }
};

// Panels of nearly equal width.
struct Panels {
    int64_t vectors, count;

    Panels(int64_t all, int64_t widest) : vectors(all), count((all + widest - 1) / widest) {}
    int64_t begin(int64_t i) const { return i * vectors / count; }
};

// Where the weights come from: index i along a side is that of `first + i`, which turns round at `turn`.
struct Side {
    int64_t first, turn, stride;

    int64_t operator()(int64_t i) const {
        const int64_t at = first + i;
        return (at < turn ? at : at - turn) * stride;
    }
};

// N rows of N numbers become N columns.
template <class T>
inline void transpose(Vec<T>* v) {
    constexpr int N = Simd<T>::N;
    using Lanes = decltype(Vec<T>{} < Vec<T>{});
    for (int d = 1; d < N; d *= 2) {
        Lanes low, high;
        for (int i = 0; i < N; ++i) low[i] = i & d ? N + i - d : i, high[i] = i & d ? N + i : i + d;
        for (int i = 0; i < N; ++i)
            if (!(i & d)) {
                const Vec<T> a = v[i], b = v[i + d];
                v[i] = __builtin_shuffle(a, b, low), v[i + d] = __builtin_shuffle(a, b, high);
            }
    }
}

// N outputs from o on, `count` of k from k0 on, to rows `ld` apart.
template <class T, class W>
void pack_vector(const T* w, int64_t outputs, int64_t o, Side output, int64_t k0, int64_t count, Side inner, W* to, int64_t ld) {
    constexpr int N = Simd<T>::N;
    const int n = int(least(N, outputs - o));
    const bool together = output(o + n - 1) == output(o) + (n - 1) * output.stride;
    if (output.stride == 1 && together) {
        for (int64_t k = 0; k < count; ++k) put_weight(to + k * ld, load_part(w + output(o) + inner(k0 + k), n));
        return;
    }
    int64_t k = 0;
    if (inner.stride == 1 && inner(k0 + count - 1) == inner(k0) + count - 1)
        for (const T* from = w + inner(k0); k + N <= count; k += N) {
            Vec<T> v[N];
            for (int i = 0; i < N; ++i) v[i] = i < n ? load(from + output(o + i) + k) : Vec<T>{};
            transpose<T>(v);
            for (int i = 0; i < N; ++i) put_weight(to + (k + i) * ld, v[i]);
        }
    for (; k < count; ++k) {
        Vec<T> v{};
        for (int i = 0; i < n; ++i) v[i] = w[output(o + i) + inner(k0 + k)];
        put_weight(to + k * ld, v);
    }
}

template <class T, class W>
void pack_as(const Packed<T>& p, W* at, const T* w, Side output, Side inner) {
    constexpr int N = Simd<T>::N;
    const Panels panels(p.vectors(), p.widest);
    for (int64_t k0 = 0; k0 < p.inner; k0 += INNER) {
        const int64_t count = least(INNER, p.inner - k0);
        for (int64_t i = 0; i < panels.count; ++i) {
            const int64_t v0 = panels.begin(i), C = panels.begin(i + 1) - v0;
            W* to = at + k0 * p.vectors() * N + count * v0 * N;
            for (int64_t c = 0; c < C; ++c)
                pack_vector(w, p.outputs, (v0 + c) * N, output, k0, count, inner, to + c * N, C * N);
        }
    }
}

template <class T>
void pack(const Packed<T>& p, const T* w, Side output, Side inner) {
    if constexpr (sizeof(T) == 4)
        if (p.half) return pack_as(p, reinterpret_cast<uint16_t*>(p.at), w, output, inner);
    pack_as(p, p.at, w, output, inner);
}

// R rows by C vectors: out = (out or 0) + row · panel. The last vector has `tail` lanes.
template <class T, class W, int R, int C>
void tile(const T* const* row, int64_t k0, int64_t count, const void* at, T* const* out, int64_t column, int tail, bool add) {
    constexpr int N = Simd<T>::N;
    const W* panel = static_cast<const W*>(at);
    Vec<T> sum[R][C];
    for (int r = 0; r < R; ++r)
        for (int c = 0; c < C; ++c) sum[r][c] = Vec<T>{};
    const T* in[R];
    for (int r = 0; r < R; ++r) in[r] = row[r] + k0;
    for (int64_t k = 0; k < count; ++k) {
        Vec<T> w[C];
        for (int c = 0; c < C; ++c) w[c] = weight(panel + c * N);
        for (int c = 0; c < C; ++c) __builtin_prefetch(panel + AHEAD + c * N);
        panel += C * N;
        for (int r = 0; r < R; ++r) {
            const Vec<T> a = all(in[r][k]);
            for (int c = 0; c < C; ++c) sum[r][c] += a * w[c];
        }
    }
    for (int r = 0; r < R; ++r)
        for (int c = 0; c < C; ++c) {
            T* to = out[r] + column + c * N;
            const int n = c == C - 1 ? tail : N;
            store_part(to, add ? load_part(to, n) + sum[r][c] : sum[r][c], n);
        }
}

template <class T>
using Tile = void (*)(const T* const*, int64_t, int64_t, const void*, T* const*, int64_t, int, bool);

template <class T, class W, int R>
Tile<T> tile_of(int64_t C) {
    constexpr int wide = R <= ROWS_WIDE ? MOST_WIDE : MOST_TALL;
    switch (C) {
        case 1: return tile<T, W, R, 1>;
        case 2: return tile<T, W, R, 2>;
        case 3: if constexpr (wide >= 3) return tile<T, W, R, 3>; break;
        case 4: if constexpr (wide >= 4) return tile<T, W, R, 4>; break;
        case 5: if constexpr (wide >= 5) return tile<T, W, R, 5>; break;
        case 6: if constexpr (wide >= 6) return tile<T, W, R, 6>; break;
        case 7: if constexpr (wide >= 7) return tile<T, W, R, 7>; break;
        case 8: if constexpr (wide >= 8) return tile<T, W, R, 8>; break;
    }
    return nullptr;
}

template <class T, class W>
Tile<T> tile_of(int64_t R, int64_t C) {
    switch (R) {
        case 1: return tile_of<T, W, 1>(C);
        case 2: return tile_of<T, W, 2>(C);
        case 3: return tile_of<T, W, 3>(C);
        case 4: return tile_of<T, W, 4>(C);
        case 5: return tile_of<T, W, 5>(C);
        default: return tile_of<T, W, 6>(C);
    }
}

// How many rows go at once beside panels of this width.
inline int64_t rows_at_once(int64_t widest) { return widest > MOST_TALL ? ROWS_WIDE : ROWS_TALL; }

// out[m] = (out[m] or 0) + row[m] · wᵀ for `count` rows.
template <class T>
void multiply(const T* const* row, int64_t count, const Packed<T>& w, T* const* out, bool add) {
    constexpr int N = Simd<T>::N;
    const Panels panels(w.vectors(), w.widest), groups(count, rows_at_once(w.widest));
    if (!count) return;
    for (int64_t k0 = 0; k0 < w.inner; k0 += INNER) {
        const int64_t inner = least(INNER, w.inner - k0);
        for (int64_t i = 0; i < panels.count; ++i) {
            const int64_t v0 = panels.begin(i), C = panels.begin(i + 1) - v0;
            const int64_t offset = k0 * w.vectors() * N + inner * v0 * N;
            const int tail = int(least(N, w.outputs - (v0 + C - 1) * N));
            for (int64_t g = 0; g < groups.count; ++g) {
                const int64_t m = groups.begin(g), R = groups.begin(g + 1) - m;
                if (w.half) {
                    if constexpr (sizeof(T) == 4)
                        tile_of<T, uint16_t>(R, C)(row + m, k0, inner, reinterpret_cast<const uint16_t*>(w.at) + offset, out + m,
                                                   v0 * N, tail, add || k0);
                } else {
                    tile_of<T, T>(R, C)(row + m, k0, inner, w.at + offset, out + m, v0 * N, tail, add || k0);
                }
            }
        }
    }
    if (!w.inner && !add)
        for (int64_t m = 0; m < count; ++m)
            for (int64_t o = 0; o < w.outputs; ++o) out[m][o] = T(0);
}

// R values of k by C vectors of outputs: sum[k][o] += sum over rows of a[m][k] · d[m][o], both side by side by rows.
template <class T, int R, int C>
void outer_tile(const T* a, const T* d, int64_t count, T* sum, int64_t ld) {
    constexpr int N = Simd<T>::N;
    Vec<T> s[R][C];
    for (int r = 0; r < R; ++r)
        for (int c = 0; c < C; ++c) s[r][c] = Vec<T>{};
    for (int64_t m = 0; m < count; ++m) {
        Vec<T> w[C];
        for (int c = 0; c < C; ++c) w[c] = load(d + c * N);
        for (int r = 0; r < R; ++r) {
            const Vec<T> v = all(a[r]);
            for (int c = 0; c < C; ++c) s[r][c] += v * w[c];
        }
        a += R, d += C * N;
    }
    for (int r = 0; r < R; ++r)
        for (int c = 0; c < C; ++c) store(sum + r * ld + c * N, load(sum + r * ld + c * N) + s[r][c]);
}

template <class T>
using OuterTile = void (*)(const T*, const T*, int64_t, T*, int64_t);

template <class T, int R>
OuterTile<T> outer_tile_of(int64_t C) {
    switch (C) {
        case 1: return outer_tile<T, R, 1>;
        case 2: return outer_tile<T, R, 2>;
        case 3: if constexpr (MOST_TALL >= 3) return outer_tile<T, R, 3>; break;
        case 4: if constexpr (MOST_TALL >= 4) return outer_tile<T, R, 4>; break;
    }
    return nullptr;
}

template <class T>
OuterTile<T> outer_tile_of(int64_t R, int64_t C) {
    switch (R) {
        case 1: return outer_tile_of<T, 1>(C);
        case 2: return outer_tile_of<T, 2>(C);
        case 3: return outer_tile_of<T, 3>(C);
        case 4: return outer_tile_of<T, 4>(C);
        case 5: return outer_tile_of<T, 5>(C);
        default: return outer_tile_of<T, 6>(C);
    }
}

constexpr int64_t AT_ONCE = 256;  // rows of which `outer` copies a panel's columns together

template <class T>
int64_t outer_space(int64_t inner) {
    return AT_ONCE * (inner + MOST_TALL * Simd<T>::N);
}

// The gradient of a weight, transposed: sum[k][o] += sum over rows m of a[m][k] · d[m][o]; rows of `sum` are ld apart, a
// multiple of N that holds all outputs. Columns are copied together first: rows that lie a power of two apart would drive
// each other out of the cache.
template <class T>
void outer(const T* const* a, const T* const* d, int64_t count, int64_t inner, int64_t outputs, T* sum, int64_t ld, T* space) {
    constexpr int N = Simd<T>::N;
    const Panels panels((outputs + N - 1) / N, MOST_TALL), groups(inner, ROWS_TALL);
    T *left = space + AT_ONCE * MOST_TALL * N, *right = space;
    for (int64_t m0 = 0; m0 < count; m0 += AT_ONCE) {
        const int64_t rows = least(AT_ONCE, count - m0);
        for (int64_t m = 0; m < rows; ++m)
            for (int64_t g = 0; g < groups.count; ++g) {
                const int64_t k = groups.begin(g), R = groups.begin(g + 1) - k;
                for (int64_t r = 0; r < R; ++r) left[k * rows + m * R + r] = a[m0 + m][k + r];
            }
        for (int64_t i = 0; i < panels.count; ++i) {
            const int64_t v0 = panels.begin(i), C = panels.begin(i + 1) - v0;
            const int tail = int(least(N, outputs - (v0 + C - 1) * N));
            for (int64_t m = 0; m < rows; ++m)
                for (int64_t c = 0; c < C; ++c)
                    store(right + (m * C + c) * N, load_part(d[m0 + m] + (v0 + c) * N, c == C - 1 ? tail : N));
            for (int64_t g = 0; g < groups.count; ++g) {
                const int64_t k = groups.begin(g), R = groups.begin(g + 1) - k;
                outer_tile_of<T>(R, C)(left + k * rows, right, rows, sum + k * ld + v0 * N, ld);
            }
        }
    }
}

// sum[o] += sum over rows m of d[m][o].
template <class T>
void column_sums(const T* const* d, int64_t count, int64_t outputs, T* sum) {
    constexpr int N = Simd<T>::N;
    for (int64_t m0 = 0; m0 < count; m0 += AT_ONCE)
        for (int64_t o = 0; o < outputs; o += N) {
            const int n = int(least(N, outputs - o));
            Vec<T> s{};
            for (int64_t m = m0; m < least(count, m0 + AT_ONCE); ++m) s += load_part(d[m] + o, n);
            store_part(sum + o, load_part(sum + o, n) + s, n);
        }
}
