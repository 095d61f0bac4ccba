template <class T, class Cell>
struct Retreat {
    const Layer<T>& l;
    Work<T>& w;
    const Walk<T, Cell> walk{l, w};
    const Call& call = l.call;

    // The gates of a block anew.
    void again(int64_t begin, int64_t total) const {
        if (call.gates) {
            for (int64_t e = 0; e < total; ++e) {
                Row<T>& row = w.row[e];
                if constexpr (Cell::second) {
                    row.through = w.through + e * l.H;
                    Cell::through_again(l, row);
                }
                if constexpr (Cell::options) {
                    if (call.mask_h) walk.masked_h(row, w.masked + e * l.P);
                }
            }
            return;
        }
        if constexpr (Cell::gated) {
            walk.inputs(begin, total);
            walk.recurrent(0, total, 0);
            for (int64_t e = 0; e < total; ++e) {
                if constexpr (Cell::options) lstm_gates(l, w.row[e], w.norms);
                else Cell::activate(l, w.row[e]);
            }
        }
    }

    void add_grad_y(const Row<T>& row) const {
        if (!call.grad_y) return;
        const T* from = pointer<const T>(call.grad_y) + row.time * call.grad_y_step + row.index * call.grad_y_row;
        each_vector<T>(l.P, [&](int64_t i, int n) { store_part(row.dh + i, load_part(row.dh + i, n) + load_part(from + i, n), n); });
    }

    // Rows [from, from + n) of the block, all of one step.
    void step(int64_t from, int64_t n) const {
        for (int64_t i = 0; i < n; ++i) {
            Row<T>& row = w.row[from + i];
            add_grad_y(row);
            if constexpr (Cell::second) row.waiting = w.waiting + i * l.H;
            if constexpr (!Cell::options) Cell::retreat(l, row);
        }
        if constexpr (Cell::options) retreat_options(l, w, from, n);
        if constexpr (Cell::second) {
            for (int64_t i = 0; i < n; ++i)
                w.in[i] = w.row[from + i].pre + l.s.middle * l.H, w.out[i] = w.through_grad + i * l.H;
            multiply(w.in, n, l.mh_back, w.out, false);
            for (int64_t i = 0; i < n; ++i) Cell::retreat_through(l, w.row[from + i], w.through_grad + i * l.H);
        }
        for (int64_t i = 0; i < n; ++i) {
            const bool masked = Cell::options && call.mask_h;
            w.in[i] = slots_of_h(from + i);
            w.out[i] = masked ? w.to_mask + i * l.P : w.row[from + i].dh;
        }
        multiply(w.in, n, l.hh_back, w.out, !(Cell::options && call.mask_h));
        if constexpr (Cell::options)
            if (call.mask_h)
                for (int64_t i = 0; i < n; ++i) add_masked(w.row[from + i], w.to_mask + i * l.P);
    }

    // The gradient of what W_hh h gives.
    const T* slots_of_h(int64_t e) const {
        if (Cell::options && w.grad_raw_h) return w.grad_raw_h + e * l.s.gates * l.H;
        return w.row[e].pre + l.s.h_begin * l.H;
    }

    void add_masked(const Row<T>& row, const T* from) const {
        const T* mask = pointer<const T>(call.mask_h) + row.index * l.P;
        each_vector<T>(l.P, [&](int64_t i, int n) {
            store_part(row.dh + i, load_part(row.dh + i, n) + load_part(from + i, n) * load_part(mask + i, n), n);
        });
    }

    // What a block's gradients add to those of the weights, and give to the inputs.
    void weights(int64_t total) const {
        const int64_t H = l.H, GH = l.s.gates * H;
        for (int64_t e = 0; e < total; ++e) {
            const Row<T>& row = w.row[e];
            w.grads[e] = slots_of_h(e);
            w.in[e] = Cell::options && call.mask_h ? w.masked + e * l.P : row.h_old;
        }
        if (w.sum_hh) outer(w.in, w.grads, total, l.P, l.h_width(), w.sum_hh, Work<T>::ld(l.h_width()), w.space);
        for (int64_t e = 0; e < total; ++e) w.grads[e] = w.row[e].pre;
        if (call.grad_bias || call.grad_bias_ih) column_sums(w.grads, total, l.width, w.sum_bias);
        if constexpr (Cell::second) {
            for (int64_t e = 0; e < total; ++e) w.grads[e] = w.row[e].pre + l.s.middle * H, w.in[e] = w.row[e].through;
            if (w.sum_mh) outer(w.in, w.grads, total, H, l.through_width(), w.sum_mh, Work<T>::ld(l.through_width()), w.space);
        }
        if constexpr (Cell::options) option_weights(l, w, total);
        for (int64_t e = 0; e < total; ++e) {
            const Row<T>& row = w.row[e];
            w.grads[e] = row.pre;
            w.in[e] = pointer<const T>(call.x) + row.time * call.x_step + row.index * call.x_row;
        }
        if (w.sum_ih) outer(w.in, w.grads, total, l.I, GH, w.sum_ih, Work<T>::ld(GH), w.space);
        if (call.grad_x) grad_x(total);
    }

    void grad_x(int64_t total) const {
        const int64_t GH = l.s.gates * l.H;
        for (int64_t e = 0; e < total; ++e) {
            const Row<T>& row = w.row[e];
            w.out[e] = pointer<T>(call.grad_x) + row.time * call.grad_x_step + row.index * call.grad_x_row;
        }
        if (!l.narrow()) return multiply(w.grads, total, l.ih_back, w.out, false);
        for (int64_t e = 0; e < total; ++e)
            for (int64_t i = 0; i < l.I; ++i) {
                Vec<T> sum{};
                const T *d = w.grads[e], *column = l.ih_back.at + i * GH;
                each_vector<T>(GH, [&](int64_t k, int n) { sum += load_part(d + k, n) * load_part(column + k, n); });
                w.out[e][i] = lanes_sum<T>(sum);
            }
    }
};

template <class T, class Cell>
void backward(const Layer<T>& l, Work<T>& w) {
    const Call& call = l.call;
    const Retreat<T, Cell> retreat{l, w};
    const int64_t block = l.block(), some = l.together();
    std::memset(pointer<char>(call.scratch), 0, w.sums);
    for (int64_t begin = (call.steps - 1) / block * block; begin >= 0; begin -= block) {
        const int64_t steps = least(block, call.steps - begin), total = retreat.walk.list(begin, steps);
        if (!total) continue;
        retreat.again(begin, total);
        for (int64_t s = steps - 1, first = total; s >= 0; --s) {
            const int64_t running = l.running(begin + s);
            first -= running;
            const Panels groups(running, some);
            for (int64_t g = 0; g < groups.count; ++g)
                retreat.step(first + groups.begin(g), groups.begin(g + 1) - groups.begin(g));
        }
        retreat.weights(total);
    }
    if (!call.grad_x) return;
    for (int64_t r = 0; r < call.count; ++r)
        for (int64_t row = l.rows[r], t = l.length(row); t < call.steps; ++t)
            std::memset(pointer<T>(call.grad_x) + t * call.grad_x_step + row * call.grad_x_row, 0, l.I * sizeof(T));
}

// to[o][i] += sum[i][o], in tiles; rows of `to` are where `side` says.
template <class T>
void add_transposed(T* to, Side side, const T* sum, int64_t outputs, int64_t inner) {
    constexpr int N = Simd<T>::N;
    const int64_t ld = Work<T>::ld(outputs);
    for (int64_t o = 0; o < outputs; o += N)
        for (int64_t i = 0; i < inner; i += N) {
            const int rows = int(least(N, outputs - o)), columns = int(least(N, inner - i));
            Vec<T> v[N];
            for (int k = 0; k < N; ++k) v[k] = k < columns ? load(sum + (i + k) * ld + o) : Vec<T>{};
            transpose<T>(v);
            for (int k = 0; k < rows; ++k) {
                T* at = to + side(o + k) + i;
                store_part(at, load_part(at, columns) + v[k], columns);
            }
        }
}

template <class T>
void finish(const Layer<T>& l, const Work<T>& w) {
    const Call& call = l.call;
    const int64_t H = l.H, P = l.P, GH = l.s.gates * H;
    if (w.sum_ih) add_transposed(pointer<T>(call.grad_w_ih), l.x_rows(), w.sum_ih, GH, l.I);
    if (w.sum_hh) add_transposed(pointer<T>(call.grad_w_hh), Side{0, GH, P}, w.sum_hh, l.h_width(), P);
    if (w.sum_mh) add_transposed(pointer<T>(call.grad_w_hh), Side{l.h_width(), GH, P}, w.sum_mh, l.through_width(), H);
    if (call.grad_w_hr) add_transposed(pointer<T>(call.grad_w_hr), Side{0, P, H}, w.sum_hr, P, H);
    add_row(call.grad_bias, w.sum_bias, l.width);
    add_row(call.grad_bias_ih, w.sum_bias, GH);
    add_row(call.grad_bias_hh, w.sum_bias, GH);
    add_row(call.grad_peep_i, w.sum_peep, H);
    add_row(call.grad_peep_f, w.sum_peep + H, H);
    add_row(call.grad_peep_o, w.sum_peep + 2 * H, H);
    add_row(call.grad_gain_ih, w.sum_gain_ih, GH);
    add_row(call.grad_gain_hh, w.sum_gain_hh, GH);
    add_row(call.grad_gain_c, w.sum_gain_c, H);
    add_row(call.grad_bias_c, w.sum_bias_c, H);
}
