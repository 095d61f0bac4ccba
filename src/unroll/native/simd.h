// Vectors of one instruction set, and exp, tanh and the logistic function on them. Included once per set, in a
// namespace of its own; BYTES is the width of a vector.
template <class T>
struct Simd {
    static constexpr int N = BYTES / sizeof(T);
    typedef T V __attribute__((vector_size(BYTES)));
};

template <class T>
using Vec = typename Simd<T>::V;
typedef int32_t VI __attribute__((vector_size(BYTES)));

template <class T>
inline Vec<T> all(T value) {
    return value - Vec<T>{};  // a - 0 is a, -0 and all, so this costs nothing; a + 0 is not
}

template <class T>
inline Vec<T> load(const T* p) {
    Vec<T> v;
    std::memcpy(&v, p, sizeof v);
    return v;
}

template <class T>
inline void store(T* p, Vec<T> v) {
    std::memcpy(p, &v, sizeof v);
}

// The first n lanes, the others 0; n is at least 1.
template <class T>
inline Vec<T> load_part(const T* p, int n) {
    if (n == Simd<T>::N) return load(p);
    Vec<T> v{};
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4)
        v = (Vec<T>)_mm512_maskz_loadu_ps(__mmask16((1u << n) - 1), p);
    else
        v = (Vec<T>)_mm512_maskz_loadu_pd(__mmask8((1u << n) - 1), p);
#else
    for (int i = 0; i < n; ++i) v[i] = p[i];
#endif
    return v;
}

template <class T>
inline void store_part(T* p, Vec<T> v, int n) {
    if (n == Simd<T>::N) return store(p, v);
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4)
        _mm512_mask_storeu_ps(p, __mmask16((1u << n) - 1), (__m512)v);
    else
        _mm512_mask_storeu_pd(p, __mmask8((1u << n) - 1), (__m512d)v);
#else
    for (int i = 0; i < n; ++i) p[i] = v[i];
#endif
}

// A vector of packed weights, in full or as the upper halves of floats: bfloat16.
template <class T>
inline Vec<T> weight(const T* p) {
    return load(p);
}

inline Vec<float> weight(const uint16_t* p) {
#if defined(__AVX512F__)
    const __m256i half = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    return (Vec<float>)_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16);
#else
    typedef uint16_t Halves __attribute__((vector_size(BYTES / 2)));
    Halves half;
    std::memcpy(&half, p, sizeof half);
    return (Vec<float>)(__builtin_convertvector(half, VI) << 16);
#endif
}

template <class T>
inline void put_weight(T* p, Vec<T> v) {
    store(p, v);
}

// To the nearest, ties to even; NaN stays one.
inline void put_weight(uint16_t* p, Vec<float> v) {
    typedef uint16_t Halves __attribute__((vector_size(BYTES / 2)));
    const VI bits = (VI)v;
    const VI nearest = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    const VI kept = v != v ? (bits >> 16) | 0x40 : nearest;
    const Halves half = __builtin_convertvector(kept & 0xffff, Halves);
    std::memcpy(p, &half, sizeof half);
}

template <class T>
inline T lanes_sum(Vec<T> v) {
    T sum = 0;
    for (int i = 0; i < Simd<T>::N; ++i) sum += v[i];
    return sum;
}

inline Vec<float> select(VI mask, Vec<float> yes, Vec<float> no) { return mask ? yes : no; }

// v · 2^n for a whole n in -126…127.
inline Vec<float> scaled(Vec<float> v, Vec<float> n) {
#if defined(__AVX512F__)
    return (Vec<float>)_mm512_scalef_ps((__m512)v, (__m512)n);
#else
    VI bits = (__builtin_convertvector(n, VI) + 127) << 23;
    return v * (Vec<float>)bits;
#endif
}

// a / b for a finite b away from the ends of the range: a reciprocal of 14 bits and one step of Newton's where there is
// one, the rounding of which adds to that of the product.
inline Vec<float> quotient(Vec<float> a, Vec<float> b) {
#if defined(__AVX512F__)
    Vec<float> y = (Vec<float>)_mm512_rcp14_ps((__m512)b);
    y = y * (1.0f - b * y) + y;
    return a * y;
#else
    return a / b;
#endif
}

// e^x = 2^n e^r, e^x - 1 = 2^n (e^r - 1) + (2^n - 1), x = n ln 2 + r, |r| <= ln 2 / 2; e^r - 1 by its Taylor series to r^8, whose
// remainder is below 2^-27 of it. x is within ±87.
struct Parts {
    Vec<float> n, rest;  // n, e^r - 1
};

inline Parts exp_parts(Vec<float> x) {
    const Vec<float> magic = all(12582912.0f);  // 1.5 · 2^23: adding it rounds to a whole number
    Vec<float> n = (x * 1.44269504088896341f + magic) - magic;
    Vec<float> r = x - n * 0.693145751953125f;
    r = r - n * 1.42860682030941723e-6f;
    Vec<float> p = all(1.0f / 5040);
    p = p * r + 1.0f / 720;
    p = p * r + 1.0f / 120;
    p = p * r + 1.0f / 24;
    p = p * r + 1.0f / 6;
    p = p * r + 0.5f;
    p = p * (r * r) + r;
    return {n, p};
}

// Against float64 over every float32 there is: tanh is within 2.43 units of the last place, with the reciprocal of AVX-512
// within 2.95, and keeps the sign of 0; the logistic function is within 2.49 where it is above 1e-37, and goes no lower than
// 1.6e-38.

// NaN fails both comparisons and stays.
inline Vec<float> clamp(Vec<float> x, float low, float high) {
#if defined(__AVX512F__)
    return (Vec<float>)_mm512_min_ps((__m512)all(high), _mm512_max_ps((__m512)all(low), (__m512)x));
#endif
    x = select(x < low, all(low), x);
    return select(x > high, all(high), x);
}

inline Vec<float> logistic(Vec<float> x) {
    Parts e = exp_parts(clamp(-x, -87.0f, 87.0f));
    return quotient(all(1.0f), 1.0f + scaled(e.rest + 1.0f, e.n));
}

inline Vec<float> tanh(Vec<float> x) {
    VI sign = (VI)x & INT32_MIN;
    Vec<float> a = (Vec<float>)((VI)x & 0x7fffffff);
    Parts e = exp_parts(clamp(a + a, 0.0f, 40.0f));
    Vec<float> scale = scaled(all(1.0f), e.n);
    Vec<float> m = scale * e.rest + (scale - 1.0f);
    return (Vec<float>)((VI)quotient(m, m + 2.0f) | sign);
}

// Float64 lane by lane, as exact as the C library.
template <class F>
inline Vec<double> each(Vec<double> x, F f) {
    for (int i = 0; i < Simd<double>::N; ++i) x[i] = f(x[i]);
    return x;
}

inline Vec<double> logistic(Vec<double> x) {
    return each(x, [](double a) { return 1.0 / (1.0 + std::exp(-a)); });
}

inline Vec<double> tanh(Vec<double> x) {
    return each(x, [](double a) { return std::tanh(a); });
}

template <class T>
inline Vec<T> relu(Vec<T> x) {
    // What is not above 0 becomes 0, NaN stays.
    Vec<T> zero{};
    return x <= zero ? zero : x;
}
