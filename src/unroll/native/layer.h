// One thread's rows of a layer in one direction, forward and backward: what all cells share.
//
// Time is walked in blocks. For all steps of a block at once the inputs are multiplied with W_ih; then step by step W_hh is
// added and the cell advances. On the way back the gates of a block come from the forward run where they were kept, else
// they are computed anew, all steps at once; step by step the cell retreats; then the block's gradients give those of the
// weights and of the inputs as products over all its steps.

enum class Kind { rnn_tanh, rnn_relu, lstm, gru, gru_before, gru_write, gru_before_write, mgu, janet, lstm_options };

// Where the slots of a cell are, in units of H. Slots [0, x_slots) read x, [h_begin, middle) read h and [middle, slots) the
// h that a gate has let through, where the cell has that second product.
struct Slots {
    int64_t slots, gates, h_begin, middle;
    int64_t turn;  // W_ih gives its rows to the slots from this one on, and round
};

template <class T>
struct Arena {
    char* at;
    size_t used = 0;

    template <class U = T>
    U* take(int64_t count) {
        U* here = at && count ? reinterpret_cast<U*>(at + used) : nullptr;
        used += (size_t(count) * sizeof(U) + 63) / 64 * 64;
        return here;
    }
};

// One row at one step.
template <class T>
struct Row {
    T* pre;           // its slots; when the cell has advanced, its gates; when it has retreated, their gradient
    const T* gates;   // backward: the gates, which may be `pre`
    const T *h_old, *c_old;
    T *h, *c;
    T* through;       // of cells with a second product: the h that a gate has let through
    T* waiting;       // space of H, from a retreat to the retreat through the gate
    T* full;          // of cells with a projection: o tanh(c), before it
    T *dh, *dc;       // gradients of the state after the step; what reaches the old one, not through W_hh, is left there
    int64_t index;    // in the batch
    int64_t time;
};

template <class T>
T* pointer(uint64_t address) {
    return reinterpret_cast<T*>(address);
}

// A call as one thread sees it.
template <class T>
struct Layer {
    const Call& call;
    const Slots s;
    const int64_t H, P, I, width;  // width: numbers in the slots of a row
    const int64_t* rows;
    const int64_t* lengths;
    bool few;  // rows in all, so that panels are wide whatever the number of threads
    Packed<T> ih, hh, mh, ih_back, hh_back, mh_back, hr, hr_back;

    Layer(const Call& c, const Slots& slots)
        : call(c), s(slots), H(c.hidden), P(c.output), I(c.input), width(slots.slots * c.hidden),
          rows(pointer<const int64_t>(c.rows)), lengths(pointer<const int64_t>(c.lengths)), few(c.batch < 4) {
        Arena<T> arena{pointer<char>(c.shared)};
        place(arena);
    }

    Packed<T> packed(Arena<T>& arena, int64_t outputs, int64_t inner, bool wide) {
        const bool half = call.half && !call.backward && sizeof(T) == 4;
        Packed<T> p{outputs, inner, wide ? MOST_WIDE : MOST_TALL, half, nullptr};
        p.at = arena.take(outputs && inner ? p.size() : 0);
        return p;
    }

    size_t place(Arena<T>& arena) {
        const int64_t h_rows = h_width(), m_rows = through_width();
        const bool back = call.backward, again = !call.gates;
        ih = packed(arena, back && !again ? 0 : s.gates * H, I, false);
        hh = packed(arena, back && !again ? 0 : h_rows, P, few && !back);
        mh = packed(arena, back && !again ? 0 : m_rows, H, few && !back);
        hr = packed(arena, call.w_hr && !back ? P : 0, H, few && !back);
        hh_back = packed(arena, back ? P : 0, h_rows, few);
        mh_back = packed(arena, back ? H : 0, m_rows, few);
        ih_back = packed(arena, back && call.grad_x ? I : 0, s.gates * H, false);  // of few features: I rows instead
        hr_back = packed(arena, back && call.w_hr ? H : 0, P, few);
        return arena.used;
    }

    void prepare() {
        const T *w_ih = pointer<const T>(call.w_ih), *w_hh = pointer<const T>(call.w_hh), *w_hr = pointer<const T>(call.w_hr);
        const int64_t split = h_width();
        const Side slots = x_rows(), features{0, I, 1}, rows{0, s.gates * H, P}, through{split, s.gates * H, P}, h{0, P, 1};
        if (ih.at) pack(ih, w_ih, slots, features);
        if (hh.at) pack(hh, w_hh, rows, h);
        if (mh.at) pack(mh, w_hh, through, h);
        if (hh_back.at) pack(hh_back, w_hh, h, rows);
        if (mh_back.at) pack(mh_back, w_hh, h, through);
        if (ih_back.at && !narrow()) pack(ih_back, w_ih, features, slots);
        if (ih_back.at && narrow())
            for (int64_t i = 0; i < I; ++i)
                for (int64_t k = 0; k < slots.turn; ++k) ih_back.at[i * slots.turn + k] = w_ih[slots(k) + i];
        if (hr.at) pack(hr, w_hr, Side{0, P, H}, Side{0, H, 1});
        if (hr_back.at) pack(hr_back, w_hr, Side{0, H, 1}, Side{0, P, H});
    }

    // So few features that the gradient of each is a sum of products along the slots.
    bool narrow() const { return I <= 4; }

    // The row of W_ih that each slot reads.
    Side x_rows() const { return {(s.gates - s.turn) % s.gates * H, s.gates * H, I}; }

    int64_t time(int64_t row, int64_t step) const {
        if (!call.reverse) return step;
        return (lengths ? lengths[row] : call.steps) - 1 - step;
    }
    int64_t h_width() const { return (s.middle - s.h_begin) * H; }
    int64_t through_width() const { return (s.slots - s.middle) * H; }
    int64_t length(int64_t row) const { return lengths ? lengths[row] : call.steps; }
    int64_t running(int64_t step) const {
        int64_t n = call.count;
        if (lengths)
            while (n && lengths[rows[n - 1]] <= step) --n;
        return n;
    }
    const T* x(int64_t row, int64_t step) const {
        return pointer<const T>(call.x) + time(row, step) * call.x_step + row * call.x_row;
    }
    T* y(int64_t row, int64_t step) const {
        return pointer<T>(call.y) + time(row, step) * call.y_step + row * call.y_row;
    }
    const T* h_before(int64_t row, int64_t step) const {
        return step ? y(row, step - 1) : pointer<const T>(call.h_first) + row * P;
    }
    T* c(int64_t row, int64_t step) const {
        return call.c ? pointer<T>(call.c) + time(row, step) * call.c_step + row * H : nullptr;
    }
    const T* c_before(int64_t row, int64_t step) const {
        if (!call.c) return nullptr;
        return step ? c(row, step - 1) : pointer<const T>(call.c_first) + row * H;
    }
    // Steps of a block, so that its slots stay in a second-level cache.
    int64_t block() const {
        if (call.block > 0) return least(call.block, call.steps);
        const int64_t numbers = most(1, call.count * width), budget = 196608 / sizeof(T) * 2;
        int64_t steps = budget / numbers;
        if (call.backward) steps = most(steps, AT_ONCE / most(1, call.count));
        return most(1, least(steps, call.steps));
    }
    // Rows that a step takes at a time: few, so that what they compute stays near, or all, so that large weights pass once.
    int64_t together() const {
        const bool large = s.gates * H * P * int64_t(sizeof(T)) > 400000;
        return large ? call.count : least(call.count, rows_at_once(hh.at ? hh.widest : hh_back.widest));
    }
};

template <class T, class F>
inline void each_vector(int64_t units, F f) {
    constexpr int N = Simd<T>::N;
    int64_t i = 0;
    for (; i + N <= units; i += N) f(i, N);
    if (i < units) f(i, int(units - i));
}
