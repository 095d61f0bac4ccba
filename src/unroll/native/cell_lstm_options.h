// The LSTM with whatever it may have or lack. A row goes through in passes, since a layer norm needs all of it.
//
//   i = σ(a_i + w_ci c), f = σ(a_f + w_cf c), g = φ(a_g), c~ = clip(f c + i g), o = σ(a_o + w_co c~), h~ = o φ(LN c~)
//
// after which h~ is projected, and zoneout leaves some of the old state. An absent gate is 1, without a slot.
struct LstmForm {
    int64_t i, f, g, o, count;  // slots; -1 for none
    bool coupled, plain_input, plain_output;

    explicit LstmForm(int64_t without)
        : coupled(without & 8), plain_input(without & 16), plain_output(without & 32) {
        count = 0;
        i = without & 1 ? -1 : count++;
        f = without & (2 | 8) ? -1 : count++;
        g = count++;
        o = without & 4 ? -1 : count++;
    }
};

struct LstmOptions {
    static constexpr bool gated = true, second = false, options = true;
    static Slots slots(const Call& call) {
        const int64_t count = LstmForm(call.without).count;
        return {count, count, 0, count, 0};
    }
};

template <class T>
void moments(const T* x, int64_t count, T eps, T& mean, T& scale) {
    Vec<T> sum{}, squares{};
    each_vector<T>(count, [&](int64_t i, int n) { sum += load_part(x + i, n); });
    mean = lanes_sum<T>(sum) / T(count);
    each_vector<T>(count, [&](int64_t i, int n) {
        Vec<T> apart = load_part(x + i, n) - mean;
        for (int past = n; past < Simd<T>::N; ++past) apart[past] = 0;
        squares += apart * apart;
    });
    scale = T(1) / std::sqrt(lanes_sum<T>(squares) / T(count) + eps);
}

// to = (x - mean) / √(var + ε) ⊙ gain + bias, or that added to it.
template <class T>
void normalise(const Layer<T>& l, const T* x, int64_t count, uint64_t gain_at, uint64_t bias_at, T* to, bool add) {
    T mean, scale;
    moments(x, count, T(l.call.eps), mean, scale);
    const T *gain = pointer<const T>(gain_at), *bias = pointer<const T>(bias_at);
    each_vector<T>(count, [&](int64_t i, int n) {
        Vec<T> y = (load_part(x + i, n) - mean) * scale * load_part(gain + i, n);
        if (bias) y += load_part(bias + i, n);
        if (add) y += load_part(to + i, n);
        store_part(to + i, y, n);
    });
}

// From the gradient of what `normalise` gives to that of x, written to `to`; the gain's is added to sum_gain.
template <class T>
void norm_gradient(const Layer<T>& l, const T* x, int64_t count, uint64_t gain_at, const T* d, T* to, T* sum_gain) {
    T mean, scale;
    moments(x, count, T(l.call.eps), mean, scale);
    const T* gain = pointer<const T>(gain_at);
    Vec<T> sum{}, product{};
    each_vector<T>(count, [&](int64_t i, int n) {
        const Vec<T> given = load_part(d + i, n), unit = (load_part(x + i, n) - mean) * scale, dg = given * load_part(gain + i, n);
        sum += dg, product += dg * unit;  // lanes past the end have dg = 0
        store_part(sum_gain + i, load_part(sum_gain + i, n) + given * unit, n);
    });
    const T s = lanes_sum<T>(sum) / T(count), p = lanes_sum<T>(product) / T(count);
    each_vector<T>(count, [&](int64_t i, int n) {
        const Vec<T> unit = (load_part(x + i, n) - mean) * scale;
        store_part(to + i, (load_part(d + i, n) * load_part(gain + i, n) - s - unit * p) * scale, n);
    });
}

template <class T>
void add_row(uint64_t to, const T* sum, int64_t count) {
    if (T* at = pointer<T>(to))
        for (int64_t i = 0; i < count; ++i) at[i] += sum[i];
}

template <class T>
inline Vec<T> within(Vec<T> c, T bound) {
    if (!(bound > 0)) return c;
    const Vec<T> low = c < -bound ? all(-bound) : c;
    return low > bound ? all(bound) : low;
}

// What zoneout leaves: `old` where its mask is not 0, or its share of it.
template <class T>
inline Vec<T> zoned(Vec<T> fresh, Vec<T> old, const T* mask, T rate, int n) {
    if (!mask) return rate < T(0.5) ? fresh + (old - fresh) * rate : old - (old - fresh) * (1 - rate);
    const Vec<T> d = load_part(mask, n);
    return d != 0 ? old : fresh;
}

// How much of the old value zoneout leaves.
template <class T>
inline Vec<T> zone_share(const T* mask, T rate, int n) {
    if (!mask) return all(rate);
    const Vec<T> d = load_part(mask, n);
    return d != 0 ? all(T(1)) : Vec<T>{};
}

template <class T>
const T* zone_mask(const Call& call, uint64_t masks, const Row<T>& row, int64_t size) {
    return masks ? pointer<const T>(masks) + (row.time * call.batch + row.index) * size : nullptr;
}

// The gates of a row, from its slots and in their place, and c~.
template <class T>
void lstm_gates(const Layer<T>& l, const Row<T>& row, T* cell) {
    const int64_t H = l.H;
    const Call& call = l.call;
    const LstmForm form(call.without);
    const T *w_i = pointer<const T>(call.peep_i), *w_f = pointer<const T>(call.peep_f), *w_o = pointer<const T>(call.peep_o);
    const T bound = T(call.clip);
    each_vector<T>(H, [&](int64_t at, int n) {
        T* a = row.pre + at;
        const Vec<T> old = load_part(row.c_old + at, n);
        Vec<T> g = load_part(a + form.g * H, n), c = old;
        if (!form.plain_input) g = tanh(g);
        store_part(a + form.g * H, g, n);
        if (form.i >= 0) {
            Vec<T> i = load_part(a + form.i * H, n);
            if (w_i) i += load_part(w_i + at, n) * old;
            i = logistic(i);
            store_part(a + form.i * H, i, n);
            g = i * g;
            if (form.coupled) c = (1 - i) * old;
        }
        if (form.f >= 0) {
            Vec<T> f = load_part(a + form.f * H, n);
            if (w_f) f += load_part(w_f + at, n) * old;
            f = logistic(f);
            store_part(a + form.f * H, f, n);
            c = f * old;
        }
        c = within<T>(c + g, bound);
        store_part(cell + at, c, n);
        if (form.o >= 0) {
            Vec<T> o = load_part(a + form.o * H, n);
            if (w_o) o += load_part(w_o + at, n) * c;
            store_part(a + form.o * H, logistic(o), n);
        }
    });
}

template <class T>
const T* read_cell(const Layer<T>& l, const T* cell, T* space) {
    if (!l.call.gain_c) return cell;
    normalise(l, cell, l.H, l.call.gain_c, l.call.bias_c, space, false);
    return space;
}

template <class T>
void lstm_advance(const Layer<T>& l, const Work<T>& w, const Row<T>& row) {
    const int64_t H = l.H;
    const Call& call = l.call;
    const LstmForm form(call.without);
    T* cell = w.norms;
    lstm_gates(l, row, cell);
    const T *read = read_cell(l, cell, w.norms + H), *mask = zone_mask(call, call.zone_c, row, H);
    T* to = row.full ? row.full : row.h;
    each_vector<T>(H, [&](int64_t i, int n) {
        Vec<T> h = load_part(read + i, n), c = load_part(cell + i, n);
        if (!form.plain_output) h = tanh(h);
        if (form.o >= 0) h *= load_part(row.pre + form.o * H + i, n);
        if (mask || call.rate_c > 0) c = zoned<T>(c, load_part(row.c_old + i, n), mask ? mask + i : nullptr, T(call.rate_c), n);
        // Zoneout of h still needs the old one, which is elsewhere; c may lie where the old one did.
        store_part(row.c + i, c, n);
        store_part(to + i, h, n);
    });
}

// Rows [from, from + n) of a step: projection and zoneout of h.
template <class T>
void put_out(const Layer<T>& l, const Work<T>& w, int64_t from, int64_t n) {
    const Call& call = l.call;
    if (call.w_hr) {
        for (int64_t i = 0; i < n; ++i) w.in[i] = w.row[from + i].full, w.out[i] = w.row[from + i].h;
        multiply(w.in, n, l.hr, w.out, false);
    }
    if (!call.zone_h && !(call.rate_h > 0)) return;
    for (int64_t i = 0; i < n; ++i) {
        const Row<T>& row = w.row[from + i];
        const T* mask = zone_mask(call, call.zone_h, row, l.P);
        each_vector<T>(l.P, [&](int64_t at, int lanes) {
            const Vec<T> h = load_part(row.h + at, lanes), old = load_part(row.h_old + at, lanes);
            store_part(row.h + at, zoned<T>(h, old, mask ? mask + at : nullptr, T(call.rate_h), lanes), lanes);
        });
    }
}

// The gradient of one row's slots, from that of h~, dh, and of c.
template <class T>
void lstm_retreat(const Layer<T>& l, const Work<T>& w, const Row<T>& row, const T* dh) {
    const int64_t H = l.H;
    const Call& call = l.call;
    const LstmForm form(call.without);
    const T *w_i = pointer<const T>(call.peep_i), *w_f = pointer<const T>(call.peep_f), *w_o = pointer<const T>(call.peep_o);
    const T bound = T(call.clip), *mask = zone_mask(call, call.zone_c, row, H), *gates = row.gates;
    T *cell = w.norms, *dc = w.norms + 2 * H;
    const auto gate = [&](int64_t slot, int64_t at, int n) { return slot < 0 ? all(T(1)) : load_part(gates + slot * H + at, n); };
    const auto keeps = [&](int64_t at, int n) { return form.coupled ? 1 - gate(form.i, at, n) : gate(form.f, at, n); };
    const auto unclipped = [&](int64_t at, int n) {
        return keeps(at, n) * load_part(row.c_old + at, n) + gate(form.i, at, n) * gate(form.g, at, n);
    };
    each_vector<T>(H, [&](int64_t at, int n) { store_part(cell + at, within<T>(unclipped(at, n), bound), n); });
    const T* read = read_cell(l, cell, w.norms + H);
    each_vector<T>(H, [&](int64_t at, int n) {
        Vec<T> t = load_part(read + at, n), slope = all(T(1));
        if (!form.plain_output) t = tanh(t), slope = 1 - t * t;
        const Vec<T> d = load_part(dh + at, n), o = gate(form.o, at, n);
        store_part(dc + at, d * o * slope, n);
        if (row.full) store_part(row.full + at, o * t, n);
        if (form.o >= 0) store_part(row.pre + form.o * H + at, d * t * o * (1 - o), n);
    });
    if (call.gain_c) {
        add_row(reinterpret_cast<uint64_t>(w.sum_bias_c), dc, H);
        norm_gradient(l, cell, H, call.gain_c, dc, dc, w.sum_gain_c);
    }
    const auto add = [&](T* sum, int64_t at, int n, Vec<T> part) { store_part(sum + at, load_part(sum + at, n) + part, n); };
    each_vector<T>(H, [&](int64_t at, int n) {
        const Vec<T> old = load_part(row.c_old + at, n), i = gate(form.i, at, n), g = gate(form.g, at, n), f = keeps(at, n);
        const Vec<T> carried = load_part(row.dc + at, n);
        const Vec<T> stays = zone_share<T>(mask ? mask + at : nullptr, T(call.rate_c), n);
        Vec<T> d = load_part(dc + at, n) + carried * (1 - stays);
        if (w_o) {
            const Vec<T> d_o = load_part(row.pre + form.o * H + at, n);
            d += d_o * load_part(w_o + at, n);
            add(w.sum_peep + 2 * H, at, n, d_o * load_part(cell + at, n));
        }
        if (bound > 0) {
            const Vec<T> c = unclipped(at, n);
            d = c < -bound ? Vec<T>{} : d;
            d = c > bound ? Vec<T>{} : d;
        }
        Vec<T> before = carried * stays + d * f;
        store_part(row.pre + form.g * H + at, form.plain_input ? d * i : d * i * (1 - g * g), n);
        if (form.i >= 0) {
            const Vec<T> d_i = (form.coupled ? d * (g - old) : d * g) * i * (1 - i);
            store_part(row.pre + form.i * H + at, d_i, n);
            if (w_i) before += d_i * load_part(w_i + at, n), add(w.sum_peep, at, n, d_i * old);
        }
        if (form.f >= 0) {
            const Vec<T> d_f = d * old * f * (1 - f);
            store_part(row.pre + form.f * H + at, d_f, n);
            if (w_f) before += d_f * load_part(w_f + at, n), add(w.sum_peep + H, at, n, d_f * old);
        }
        store_part(row.dc + at, before, n);
    });
}

// Rows [from, from + n) of a step, from the gradients of h and c to those of the slots and of W_hh h.
template <class T>
void retreat_options(const Layer<T>& l, const Work<T>& w, int64_t from, int64_t n) {
    const Call& call = l.call;
    const int64_t GH = l.s.gates * l.H;
    for (int64_t i = 0; i < n; ++i) {
        Row<T>& row = w.row[from + i];
        const T* mask = zone_mask(call, call.zone_h, row, l.P);
        T* dh = call.w_hr ? w.grad_out + (from + i) * l.P : w.norms + 3 * l.H;
        each_vector<T>(l.P, [&](int64_t at, int lanes) {
            const Vec<T> d = load_part(row.dh + at, lanes), stays = zone_share<T>(mask ? mask + at : nullptr, T(call.rate_h), lanes);
            store_part(dh + at, d * (1 - stays), lanes);
            store_part(row.dh + at, d * stays, lanes);
        });
        if (!call.w_hr) lstm_retreat(l, w, row, dh);
    }
    if (call.w_hr) {
        for (int64_t i = 0; i < n; ++i) w.in[i] = w.grad_out + (from + i) * l.P, w.out[i] = w.grad_full + i * l.H;
        multiply(w.in, n, l.hr_back, w.out, false);
        for (int64_t i = 0; i < n; ++i) {
            w.row[from + i].full = w.full + (from + i) * l.H;
            lstm_retreat(l, w, w.row[from + i], w.grad_full + i * l.H);
        }
    }
    if (call.gain_hh)
        for (int64_t i = from; i < from + n; ++i)
            norm_gradient(l, w.raw_h + i * GH, GH, call.gain_hh, w.row[i].pre, w.grad_raw_h + i * GH, w.sum_gain_hh);
}

// Of a block: the projection's gradient, and that of the slots back through the layer norm of W_ih x.
template <class T>
void option_weights(const Layer<T>& l, const Work<T>& w, int64_t total) {
    const int64_t GH = l.s.gates * l.H;
    if (l.call.w_hr) {
        for (int64_t e = 0; e < total; ++e) w.in[e] = w.row[e].full, w.grads[e] = w.grad_out + e * l.P;
        outer(w.in, w.grads, total, l.H, l.P, w.sum_hr, Work<T>::ld(l.P), w.space);
    }
    if (l.call.gain_ih)
        for (int64_t e = 0; e < total; ++e)
            norm_gradient(l, w.raw_x + e * GH, GH, l.call.gain_ih, w.row[e].pre, w.row[e].pre, w.sum_gain_ih);
}
