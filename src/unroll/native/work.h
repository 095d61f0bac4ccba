// What one thread needs beside the arrays of its call.
template <class T>
struct Work {
    Row<T>* row;  // of a block: step by step, the rows that run
    const T** in;
    const T** grads;
    T** out;
    T* space;  // of outer
    T *pre, *through, *through_grad, *waiting;
    T *masked, *raw_x, *raw_h, *grad_raw_h, *full, *grad_full, *grad_out, *to_mask, *norms;  // options
    // Sums of gradients; of weights transposed, with rows ld apart.
    T *sum_ih, *sum_hh, *sum_mh, *sum_hr, *sum_bias, *sum_peep, *sum_gain_ih, *sum_gain_hh, *sum_gain_c, *sum_bias_c;

    static int64_t ld(int64_t outputs) { return (outputs + Simd<T>::N - 1) / Simd<T>::N * Simd<T>::N; }

    explicit Work(const Layer<T>& l) {
        Arena<T> arena{pointer<char>(l.call.scratch)};
        place(l, arena);
    }
    Work(const Layer<T>& l, Arena<T>& arena) { place(l, arena); }

    void place(const Layer<T>& l, Arena<T>& arena) {
        const Call& call = l.call;
        const bool back = call.backward, normed = call.gain_hh;
        const int64_t all = l.block() * call.count, some = l.together(), H = l.H, P = l.P, GH = l.s.gates * H;
        const bool second = l.s.middle < l.s.slots;
        const int64_t held = back ? all : some;  // backward needs the whole block of what forward needs of a step
        // Sums first: they are cleared in one go.
        sum_ih = arena.take(back && call.grad_w_ih ? l.I * ld(GH) : 0);
        sum_hh = arena.take(back && call.grad_w_hh ? P * ld(l.h_width()) : 0);
        sum_mh = arena.take(back && second && call.grad_w_hh ? H * ld(l.through_width()) : 0);
        sum_hr = arena.take(back && call.w_hr ? H * ld(P) : 0);
        sum_bias = arena.take(back ? ld(l.width) : 0);
        sum_peep = arena.take(back ? 3 * H : 0);
        sum_gain_ih = arena.take(back && normed ? GH : 0);
        sum_gain_hh = arena.take(back && normed ? GH : 0);
        sum_gain_c = arena.take(back && normed ? H : 0);
        sum_bias_c = arena.take(back && normed ? H : 0);
        sums = arena.used;
        row = arena.template take<Row<T>>(all);
        in = arena.template take<const T*>(all);
        grads = arena.template take<const T*>(all);
        out = arena.template take<T*>(all);
        pre = arena.take(back || !call.gates ? all * l.width : 0);
        through = arena.take(second ? held * H : 0);
        through_grad = arena.take(second && back ? some * H : 0);
        waiting = arena.take(second && back ? some * H : 0);
        masked = arena.take(call.mask_h ? held * P : 0);
        to_mask = arena.take(call.mask_h && back ? some * P : 0);
        raw_x = arena.take(normed && back ? all * GH : 0);
        raw_h = arena.take(normed ? held * GH : 0);
        grad_raw_h = arena.take(normed && back ? all * GH : 0);
        full = arena.take(call.w_hr ? held * H : 0);
        grad_out = arena.take(call.w_hr && back ? all * P : 0);
        grad_full = arena.take(call.w_hr && back ? some * H : 0);
        space = arena.take(back ? outer_space<T>(most(l.I, H)) : 0);
        norms = arena.take(call.kind == int64_t(Kind::lstm_options) ? 4 * H : 0);
    }
    size_t sums;
};
