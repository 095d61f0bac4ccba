// The recurrences of linear.h for one instruction set: included behind engine_impl.h, whose vectors they use.
#include "linear.h"

namespace unroll {
namespace ISA {
namespace elementwise {

enum class Kind { linear, relu, tanh, sru };

// All numbers of a loop over n, the last few as part of a vector.
template <class T, class F>
inline void in_vectors(int64_t n, F f) {
    constexpr int N = Simd<T>::N;
    int64_t i = 0;
    for (; i + N <= n; i += N) f(i, N);
    if (i < n) f(i, int(n - i));
}

// Lanes that a comparison of Vec<T> gives, and a shuffle takes.
template <class T>
using Lanes = decltype(Vec<T>{} < Vec<T>{});

// (re, im) pairs with their parts exchanged.
template <class T>
inline Vec<T> turned(Vec<T> v) {
#if defined(__clang__)
    Vec<T> w;
    for (int i = 0; i < Simd<T>::N; ++i) w[i] = v[i ^ 1];
    return w;
#else
    // GCC makes one instruction of a shuffle only where the order is written out.
    if constexpr (Simd<T>::N == 2) return __builtin_shuffle(v, Lanes<T>{1, 0});
    if constexpr (Simd<T>::N == 4) return __builtin_shuffle(v, Lanes<T>{1, 0, 3, 2});
    if constexpr (Simd<T>::N == 8) return __builtin_shuffle(v, Lanes<T>{1, 0, 3, 2, 5, 4, 7, 6});
    if constexpr (Simd<T>::N == 16)
        return __builtin_shuffle(v, Lanes<T>{1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14});
#endif
}

// a h of numbers, or of (re, im) pairs; sign is ∓1 in the lanes of the parts, and the other way round for conj(a) h.
template <class T, bool IS_COMPLEX>
inline Vec<T> product(Vec<T> a, Vec<T> h, Vec<T> sign) {
    if constexpr (!IS_COMPLEX) return a * h;
    Lanes<T> second;
    for (int i = 0; i < Simd<T>::N; ++i) second[i] = -(i & 1);
    const Vec<T> other = turned<T>(a), re = second ? other : a, im = second ? a : other;
    return re * h + im * (sign * turned<T>(h));
}

template <class T, Kind KIND>
inline Vec<T> activated(Vec<T> v) {
    if constexpr (KIND == Kind::relu) return relu<T>(v);
    if constexpr (KIND == Kind::tanh) return tanh(v);
    return v;
}

// One part of one row at one step; before is null where the state is 0.
template <class T, bool IS_COMPLEX, Kind KIND>
inline void advance_part(const T* a, const T* b, const T* before, T* after, int64_t n, Vec<T> sign) {
    if (!before)
        return in_vectors<T>(n, [&](int64_t i, int m) { store_part(after + i, activated<T, KIND>(load_part(b + i, m)), m); });
    in_vectors<T>(n, [&](int64_t i, int m) {
        Vec<T> h = product<T, IS_COMPLEX>(load_part(a + i, m), load_part(before + i, m), sign) + load_part(b + i, m);
        store_part(after + i, activated<T, KIND>(h), m);
    });
}

template <class T>
inline void advance_sru(const T* v, const T* b, const T* skip, const T* before, T* after, T* output, int64_t features,
                        int64_t n) {
    in_vectors<T>(n, [&](int64_t i, int m) {
        Vec<T> c = before ? load_part(before + i, m) : Vec<T>{}, x = load_part(b + i, m), s = load_part(skip + i, m);
        Vec<T> f = logistic(load_part(b + features + i, m) + load_part(v + i, m) * c);
        Vec<T> r = logistic(load_part(b + 2 * features + i, m) + load_part(v + features + i, m) * c);
        c = x + f * (c - x);
        store_part(after + i, c, m);
        store_part(output + i, s + r * (c - s), m);
    });
}

template <class T, bool IS_COMPLEX, Kind KIND>
void run(const Recurrence& r) {
    constexpr int64_t WIDE = IS_COMPLEX ? 2 : 1;
    const int64_t parts = parts_of_row(r), F = r.features, step = r.batch * F;
    const T *a = static_cast<const T*>(r.a), *b = static_cast<const T*>(r.b), *skip = static_cast<const T*>(r.skip);
    const T* first = static_cast<const T*>(r.first);
    T *state = static_cast<T*>(r.state), *output = static_cast<T*>(r.output);
    Vec<T> sign;
    for (int i = 0; i < Simd<T>::N; ++i) sign[i] = ((i & 1) != 0) == r.conjugate ? T(-1) : T(1);
    // So many parts at a time as leave the states of a step in the first cache.
    const int64_t most = 16 * PART, width = F < PART ? F : PART, together = most / width;
    for (int64_t begin = r.from; begin < r.to; begin += together) {
        const int64_t end = begin + together < r.to ? begin + together : r.to;
        for (int64_t s = 0; s < r.steps; ++s) {
            const int64_t t = r.reverse ? r.steps - 1 - s : s, last = r.reverse ? t + 1 : t - 1, at = r.late ? last : t;
            for (int64_t part = begin; part < end; ++part) {
                const int64_t row = part / parts, column = part % parts * PART, left = F - column;
                const int64_t n = (left < PART ? left : PART), own = row * F + column;
                const T* before = s ? state + (last * step + own) * WIDE : first ? first + own * WIDE : nullptr;
                if ((r.late && !s) || (before && r.resets && r.resets[at * r.batch + row])) before = nullptr;
                const T* b_part = b + (t * r.b_step + row * r.b_row + column) * WIDE;
                T* after = state + (t * step + own) * WIDE;
                if constexpr (KIND == Kind::sru) {
                    const T* s_part = skip + t * r.skip_step + row * r.skip_row + column;
                    advance_sru(a + column, b_part, s_part, before, after, output + t * step + own, F, n);
                } else {
                    const T* a_part = before ? a + (at * r.a_step + row * r.a_row + column) * WIDE : nullptr;
                    advance_part<T, IS_COMPLEX, KIND>(a_part, b_part, before, after, n * WIDE, sign);
                }
            }
        }
    }
}

}  // namespace elementwise
}  // namespace ISA

#define JOINED(isa, word) isa##word
#define LINEAR_TABLE(isa) JOINED(isa, _linear)
#define REAL(kind) ISA::elementwise::run<float, false, ISA::elementwise::Kind::kind>, \
                   ISA::elementwise::run<double, false, ISA::elementwise::Kind::kind>
#define COMPLEX(kind) ISA::elementwise::run<float, true, ISA::elementwise::Kind::kind>, \
                      ISA::elementwise::run<double, true, ISA::elementwise::Kind::kind>
const LinearEngine LINEAR_TABLE(ISA) = {{
    {REAL(linear), COMPLEX(linear)},
    {REAL(relu), nullptr, nullptr},
    {REAL(tanh), nullptr, nullptr},
    {REAL(sru), nullptr, nullptr},
}};

}  // namespace unroll
