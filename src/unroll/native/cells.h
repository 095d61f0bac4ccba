// The recurrences over a block of steps, for the rows of one thread.
//
// Every array is contiguous: x_gates (steps, batch, G · H), what the input alone gives the gates, biases included;
// y and c (steps, batch, H). A row takes part in step s while s < length. Rows come longest first.

enum class Kind { rnn_tanh, rnn_relu, lstm, gru };

template <class T>
struct Block {
    Kind kind;
    int64_t steps, batch, hidden;
    const int64_t* rows;      // this thread's rows, longest first
    int64_t count;
    const int64_t* lengths;   // by row, counted from the block's first step; null: all run to the end
    T* x_gates;               // backward: gates, then their gradient
    T* h_gates;               // GRU's gradient of what W_hh gives; hn while gates are recomputed
    const T* bias_hn;         // GRU: the bias inside r ⊙ (W_hn h + b_hn), or null
    const T* h_first;         // (batch, H) before the block
    T* y;
    const T* c_first;
    T* c;                     // c_first itself where c is not kept
    int64_t c_step;           // elements from a step's c to the next one's; 0 where it is not kept
    const T* grad_y;          // (steps, batch, H) or null
    T* grad_h;                // (batch, H), of the state after the block, becomes that before it
    T* grad_c;
    void* scratch;            // three words for every step and row

    const T* h_before(int64_t s, int64_t row) const {
        return s ? y + ((s - 1) * batch + row) * hidden : h_first + row * hidden;
    }
    const T* c_before(int64_t s, int64_t row) const {
        return s ? c + (s - 1) * c_step + row * hidden : c_first + row * hidden;
    }
    int64_t running(int64_t s) const {
        if (!lengths) return count;
        int64_t n = count;
        while (n && lengths[rows[n - 1]] <= s) --n;
        return n;
    }
};

constexpr int gates_of(Kind kind) {
    return kind == Kind::lstm ? 4 : kind == Kind::gru ? 3 : 1;
}

// One vector of units of one row, from the sums of its gates (stride apart) to its new state.
template <class T>
inline void advance(const Block<T>& b, int64_t s, int64_t row, int unit, int n, const T* sum, int stride) {
    const int64_t H = b.hidden;
    const T* x = b.x_gates + (s * b.batch + row) * gates_of(b.kind) * H + unit;
    T* y = b.y + (s * b.batch + row) * H + unit;
    switch (b.kind) {
        case Kind::rnn_tanh: store_part(y, tanh(load_part(x, n) + load(sum)), n); break;
        case Kind::rnn_relu: store_part(y, relu<T>(load_part(x, n) + load(sum)), n); break;
        case Kind::lstm: {
            Vec<T> i = logistic(load_part(x, n) + load(sum));
            Vec<T> f = logistic(load_part(x + H, n) + load(sum + stride));
            Vec<T> g = tanh(load_part(x + 2 * H, n) + load(sum + 2 * stride));
            Vec<T> o = logistic(load_part(x + 3 * H, n) + load(sum + 3 * stride));
            Vec<T> c = f * load_part(b.c_before(s, row) + unit, n) + i * g;
            store_part(b.c + s * b.c_step + row * H + unit, c, n);
            store_part(y, o * tanh(c), n);
            break;
        }
        case Kind::gru: {
            Vec<T> r = logistic(load_part(x, n) + load(sum));
            Vec<T> z = logistic(load_part(x + H, n) + load(sum + stride));
            Vec<T> hn = load(sum + 2 * stride);
            if (b.bias_hn) hn += load_part(b.bias_hn + unit, n);
            Vec<T> m = tanh(load_part(x + 2 * H, n) + r * hn);
            Vec<T> h = load_part(b.h_before(s, row) + unit, n);
            store_part(y, m + z * (h - m), n);
            break;
        }
    }
}

template <class T>
void forward(const Block<T>& b, const Plan& plan, const T* packed) {
    constexpr int N = Simd<T>::N;
    const int64_t H = b.hidden;
    const T** before = static_cast<const T**>(b.scratch);
    alignas(64) T sums[REGISTERS * N * 2];
    for (int64_t s = 0; s < b.steps; ++s) {
        const int64_t running = b.running(s);
        if (!running) break;
        for (int64_t r = 0; r < running; ++r) before[r] = b.h_before(s, b.rows[r]);
        for (Panel panel = plan.begin(N); panel.vectors; panel = plan.next(panel, N)) {
            const int U = panel.vectors, C = U * plan.gates;
            for (int64_t r = 0; r < running;) {
                const int taken = multiply(int(running - r), &before[r], packed + panel.offset, C, H, sums);
                for (int i = 0; i < taken; ++i)
                    for (int u = 0; u < U; ++u) {
                        const int unit = panel.first + u * N;
                        advance(b, s, b.rows[r + i], unit, least(N, H - unit), sums + (i * C + u) * N, U * N);
                    }
                r += taken;
            }
        }
    }
}

// Backward, first part: the gates of every step anew, all steps at once. LSTM leaves i, f, g, o in x_gates, GRU r, z, n
// there and hn in h_gates; a plain RNN needs none.
template <class T>
inline void gates_again(const Block<T>& b, int64_t s, int64_t row, int unit, int n, const T* sum, int stride) {
    const int64_t H = b.hidden;
    T* x = b.x_gates + (s * b.batch + row) * gates_of(b.kind) * H + unit;
    if (b.kind == Kind::lstm) {
        store_part(x, logistic(load_part(x, n) + load(sum)), n);
        store_part(x + H, logistic(load_part(x + H, n) + load(sum + stride)), n);
        store_part(x + 2 * H, tanh(load_part(x + 2 * H, n) + load(sum + 2 * stride)), n);
        store_part(x + 3 * H, logistic(load_part(x + 3 * H, n) + load(sum + 3 * stride)), n);
    } else {
        Vec<T> r = logistic(load_part(x, n) + load(sum));
        Vec<T> hn = load(sum + 2 * stride);
        if (b.bias_hn) hn += load_part(b.bias_hn + unit, n);
        store_part(x, r, n);
        store_part(x + H, logistic(load_part(x + H, n) + load(sum + stride)), n);
        store_part(x + 2 * H, tanh(load_part(x + 2 * H, n) + r * hn), n);
        store_part(b.h_gates + (s * b.batch + row) * 3 * H + 2 * H + unit, hn, n);
    }
}

template <class T>
void recompute(const Block<T>& b, const Plan& plan, const T* packed) {
    constexpr int N = Simd<T>::N;
    const T** before = static_cast<const T**>(b.scratch);
    int64_t* at = reinterpret_cast<int64_t*>(before + b.steps * b.count);  // step, row
    int64_t total = 0;
    for (int64_t s = 0; s < b.steps; ++s)
        for (int64_t r = 0, n = b.running(s); r < n; ++r, ++total) {
            before[total] = b.h_before(s, b.rows[r]);
            at[2 * total] = s, at[2 * total + 1] = b.rows[r];
        }
    alignas(64) T sums[REGISTERS * N * 2];
    // So many rows at a time as stay in the cache while the panels pass.
    const int64_t chunk = least(total, 16384 / b.hidden + 24);
    for (int64_t begin = 0; begin < total; begin += chunk) {
        const int64_t end = begin + least(chunk, total - begin);
        for (Panel panel = plan.begin(N); panel.vectors; panel = plan.next(panel, N)) {
            const int U = panel.vectors, C = U * plan.gates;
            for (int64_t r = begin; r < end;) {
                const int taken = multiply(int(end - r), &before[r], packed + panel.offset, C, b.hidden, sums);
                for (int i = 0; i < taken; ++i)
                    for (int u = 0; u < U; ++u) {
                        const int unit = panel.first + u * N;
                        gates_again(b, at[2 * (r + i)], at[2 * (r + i) + 1], unit, least(N, b.hidden - unit),
                                    sums + (i * C + u) * N, U * N);
                    }
                r += taken;
            }
        }
    }
}

// Backward, second part, one vector of units: from the gradient of h and c after the step to that of the gates. What
// reaches the old state not through W_hh is left in grad_h and grad_c.
template <class T>
inline void retreat(const Block<T>& b, int64_t s, int64_t row, int unit, int n) {
    const int64_t H = b.hidden, at = (s * b.batch + row) * H + unit;
    T* x = b.x_gates + (s * b.batch + row) * gates_of(b.kind) * H + unit;
    T* carried = b.grad_h + row * H + unit;
    Vec<T> dh = load_part(carried, n);
    if (b.grad_y) dh += load_part(b.grad_y + at, n);
    switch (b.kind) {
        case Kind::rnn_tanh: {
            Vec<T> h = load_part(b.y + at, n);
            store_part(x, dh * (1 - h * h), n);
            store_part(carried, Vec<T>{}, n);
            break;
        }
        case Kind::rnn_relu: {
            Vec<T> h = load_part(b.y + at, n), zero{};
            store_part(x, h <= zero ? zero : dh, n);
            store_part(carried, zero, n);
            break;
        }
        case Kind::lstm: {
            Vec<T> i = load_part(x, n), f = load_part(x + H, n), g = load_part(x + 2 * H, n), o = load_part(x + 3 * H, n);
            Vec<T> t = tanh(load_part(b.c + s * b.c_step + row * H + unit, n));
            T* carried_c = b.grad_c + row * H + unit;
            Vec<T> dc = load_part(carried_c, n) + dh * o * (1 - t * t);
            store_part(x, dc * g * i * (1 - i), n);
            store_part(x + H, dc * load_part(b.c_before(s, row) + unit, n) * f * (1 - f), n);
            store_part(x + 2 * H, dc * i * (1 - g * g), n);
            store_part(x + 3 * H, dh * t * o * (1 - o), n);
            store_part(carried_c, dc * f, n);
            store_part(carried, Vec<T>{}, n);
            break;
        }
        case Kind::gru: {
            T* q = b.h_gates + (s * b.batch + row) * 3 * H + unit;
            Vec<T> r = load_part(x, n), z = load_part(x + H, n), m = load_part(x + 2 * H, n), hn = load_part(q + 2 * H, n);
            Vec<T> dm = dh * (1 - z) * (1 - m * m);
            Vec<T> dz = dh * (load_part(b.h_before(s, row) + unit, n) - m) * z * (1 - z);
            Vec<T> dr = dm * hn * r * (1 - r);
            store_part(x, dr, n);
            store_part(x + H, dz, n);
            store_part(x + 2 * H, dm, n);
            store_part(q, dr, n);
            store_part(q + H, dz, n);
            store_part(q + 2 * H, dm * r, n);
            store_part(carried, dh * z, n);
            break;
        }
    }
}

template <class T>
void backward(const Block<T>& b, const Plan& forward_plan, const T* forward_packed, const Plan& plan, const T* packed) {
    constexpr int N = Simd<T>::N;
    const int64_t H = b.hidden, G = gates_of(b.kind);
    if (b.kind == Kind::lstm || b.kind == Kind::gru) recompute(b, forward_plan, forward_packed);
    const T** after = static_cast<const T**>(b.scratch);
    alignas(64) T sums[REGISTERS * N * 2];
    const T* gates = b.kind == Kind::gru ? b.h_gates : b.x_gates;
    for (int64_t s = b.steps - 1; s >= 0; --s) {
        const int64_t running = b.running(s);
        for (int64_t r = 0; r < running; ++r) {
            const int64_t row = b.rows[r];
            for (int unit = 0; unit < H; unit += N) retreat(b, s, row, unit, least(N, H - unit));
            after[r] = gates + (s * b.batch + row) * G * H;
        }
        for (Panel panel = plan.begin(N); panel.vectors; panel = plan.next(panel, N)) {
            const int U = panel.vectors;
            for (int64_t r = 0; r < running;) {
                const int taken = multiply(int(running - r), &after[r], packed + panel.offset, U, G * H, sums);
                for (int i = 0; i < taken; ++i)
                    for (int u = 0; u < U; ++u) {
                        const int unit = panel.first + u * N, n = least(N, H - unit);
                        T* carried = b.grad_h + b.rows[r + i] * H + unit;
                        store_part(carried, load_part(carried, n) + load(sums + (i * U + u) * N), n);
                    }
                r += taken;
            }
        }
    }
}
