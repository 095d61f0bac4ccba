// What cells share whose candidate reads the h that the gate in slot 0 lets through; `candidate` is its slot.
template <int64_t candidate>
struct SecondProduct {
    static constexpr bool gated = true, second = true, options = false;

    template <class T>
    static void activate(const Layer<T>& l, const Row<T>& row) {
        T* a = row.pre + candidate * l.H;
        each_vector<T>(l.H, [&](int64_t i, int lanes) { store_part(a + i, tanh(load_part(a + i, lanes)), lanes); });
    }

    template <class T>
    static void through_again(const Layer<T>& l, const Row<T>& row) {
        each_vector<T>(l.H, [&](int64_t i, int lanes) {
            store_part(row.through + i, load_part(row.gates + i, lanes) * load_part(row.h_old + i, lanes), lanes);
        });
    }
};
