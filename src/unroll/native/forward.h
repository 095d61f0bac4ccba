// Steps [begin, begin + steps) of a thread's rows: how many take part in all, their inputs multiplied with W_ih.
template <class T, class Cell>
struct Walk {
    const Layer<T>& l;
    Work<T>& w;
    const Call& call = l.call;

    T* kept_gates(int64_t row, int64_t time) const {
        return pointer<T>(call.gates) + (time * call.batch + row) * l.width;
    }

    int64_t list(int64_t begin, int64_t steps) const {
        int64_t total = 0;
        for (int64_t s = begin; s < begin + steps; ++s)
            for (int64_t r = 0, n = l.running(s); r < n; ++r, ++total) {
                const int64_t index = l.rows[r], time = l.time(index, s);
                Row<T>& row = w.row[total];
                row = Row<T>{};
                row.index = index, row.time = time;
                const bool own = call.backward || !call.gates;
                row.pre = own ? w.pre + total * l.width : kept_gates(index, time);
                row.gates = call.gates ? kept_gates(index, time) : row.pre;
                row.h_old = l.h_before(index, s), row.c_old = l.c_before(index, s);
                row.h = l.y(index, s), row.c = l.c(index, s);
                if (call.grad_h) row.dh = pointer<T>(call.grad_h) + index * l.P;
                if (call.grad_c) row.dc = pointer<T>(call.grad_c) + index * l.H;
            }
        return total;
    }

    // The slots' share of the inputs and biases, for all rows of a block.
    void inputs(int64_t begin, int64_t total) const {
        const T* bias = pointer<const T>(call.bias);
        const int64_t GH = l.s.gates * l.H;
        for (int64_t e = 0; e < total; ++e) {
            const Row<T>& row = w.row[e];
            w.in[e] = pointer<const T>(call.x) + row.time * call.x_step + row.index * call.x_row;
            w.out[e] = Cell::options && w.raw_x ? w.raw_x + e * GH : row.pre;
            if (bias) std::memcpy(row.pre, bias, l.width * sizeof(T));
            else std::memset(row.pre + GH, 0, (l.width - GH) * sizeof(T));
        }
        multiply(w.in, total, l.ih, w.out, bias != nullptr);
        if constexpr (Cell::options)
            if (call.gain_ih)
                for (int64_t e = 0; e < total; ++e)
                    normalise(l, w.out[e], GH, call.gain_ih, call.bias_ih, w.row[e].pre, false);
    }

    // The slots' share of h, for rows [from, from + n) of the block; what is held of them is numbered from `held` on.
    void recurrent(int64_t from, int64_t n, int64_t held) const {
        const bool normed = Cell::options && call.gain_hh;
        const int64_t GH = l.s.gates * l.H;
        for (int64_t i = 0; i < n; ++i) {
            const Row<T>& row = w.row[from + i];
            w.in[i] = row.h_old;
            w.out[i] = normed ? w.raw_h + (held + i) * GH : row.pre + l.s.h_begin * l.H;
            if constexpr (Cell::options)
                if (call.mask_h) w.in[i] = masked_h(row, w.masked + (held + i) * l.P);
        }
        multiply(w.in, n, l.hh, w.out, !normed);
        if constexpr (Cell::options)
            if (normed)
                for (int64_t i = 0; i < n; ++i)
                    normalise(l, w.out[i], GH, call.gain_hh, call.bias_hh, w.row[from + i].pre, true);
        if constexpr (Cell::second) {
            for (int64_t i = 0; i < n; ++i) {
                Row<T>& row = w.row[from + i];
                row.through = w.through + (held + i) * l.H;
                Cell::let_through(l, row);
                w.in[i] = row.through, w.out[i] = row.pre + l.s.middle * l.H;
            }
            multiply(w.in, n, l.mh, w.out, true);
        }
    }

    const T* masked_h(const Row<T>& row, T* to) const {
        const T* mask = pointer<const T>(call.mask_h) + row.index * l.P;
        each_vector<T>(l.P, [&](int64_t i, int n) { store_part(to + i, load_part(row.h_old + i, n) * load_part(mask + i, n), n); });
        return to;
    }
};

template <class T, class Cell, bool keep>
void forward(const Layer<T>& l, Work<T>& w) {
    const Walk<T, Cell> walk{l, w};
    const Call& call = l.call;
    const int64_t block = l.block(), some = l.together();
    if (call.c && !call.c_step)
        for (int64_t r = 0; r < call.count; ++r)
            std::memmove(l.c(l.rows[r], 0), pointer<const T>(call.c_first) + l.rows[r] * l.H, l.H * sizeof(T));
    for (int64_t begin = 0; begin < call.steps; begin += block) {
        const int64_t steps = least(block, call.steps - begin), total = walk.list(begin, steps);
        if (!total) break;
        walk.inputs(begin, total);
        for (int64_t s = 0, first = 0; s < steps; ++s) {
            const int64_t running = l.running(begin + s);
            const Panels groups(running, some);
            for (int64_t g = 0; g < groups.count; ++g) {
                const int64_t from = first + groups.begin(g), n = groups.begin(g + 1) - groups.begin(g);
                walk.recurrent(from, n, 0);
                for (int64_t i = 0; i < n; ++i) {
                    if constexpr (Cell::options)
                        if (call.w_hr) w.row[from + i].full = w.full + i * l.H;
                    if constexpr (Cell::options) lstm_advance(l, w, w.row[from + i]);
                    else Cell::template advance<T, keep>(l, w.row[from + i]);
                }
                if constexpr (Cell::options) put_out(l, w, from, n);
            }
            first += running;
        }
    }
    for (int64_t r = 0; r < call.count; ++r) finish_row(l, l.rows[r]);
}

// Zeros after the row's end, and its last state.
template <class T>
void finish_row(const Layer<T>& l, int64_t row) {
    const Call& call = l.call;
    const int64_t length = l.length(row);
    for (int64_t t = length; t < call.steps; ++t)
        std::memset(pointer<T>(call.y) + t * call.y_step + row * call.y_row, 0, l.P * sizeof(T));
    if (call.h_last) std::memcpy(pointer<T>(call.h_last) + row * l.P, l.h_before(row, length), l.P * sizeof(T));
    if (call.c_last) std::memcpy(pointer<T>(call.c_last) + row * l.H, l.c_before(row, length), l.H * sizeof(T));
}
