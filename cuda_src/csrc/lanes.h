// Lanes: the same algorithm for one row (a CUDA thread, or any compiler) and for W rows in lock-step (CPU vectors).
// An algorithm is a template over a lane type L, which names
//   V  values, one a lane        I  indices        M  masks, a truth a lane
// and reads its data interleaved: sample n of lane l lies at n * stride + l.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

#ifdef __CUDACC__
#define HOST_DEVICE __host__ __device__ __forceinline__
#else
#define HOST_DEVICE inline __attribute__((always_inline))  // a state that many turns share stays in registers
#endif

#if defined(__AVX512F__) && defined(__AVX512DQ__) && !defined(__CUDACC__)
#define NSZ_AVX512 1
#include <immintrin.h>
#endif

namespace nsz {

template <typename T>
struct OneLane {
  using T_ = T;
  using V = T;
  using I = int;
  using M = bool;
  static constexpr int W = 1;

  static HOST_DEVICE V load(const T* p) { return *p; }
  static HOST_DEVICE void store(T* p, V v) { *p = v; }
  static HOST_DEVICE V fill(T v) { return v; }
  static HOST_DEVICE I index(int i) { return i; }
  static HOST_DEVICE I numbers() { return 0; }
  static HOST_DEVICE V magnitude(V v) { return v < 0 ? -v : v; }
  static HOST_DEVICE V root(V v) { return sqrt(v); }
  static HOST_DEVICE double total(V v) { return v; }
  static HOST_DEVICE void transpose(V*) {}
  static HOST_DEVICE bool any(M m) { return m; }
  static HOST_DEVICE bool of(M m, int) { return m; }
  static HOST_DEVICE M all() { return true; }
  static HOST_DEVICE M no(M m) { return !m; }
  template <typename X>
  static HOST_DEVICE M less(X a, X b) { return a < b; }
  template <typename X>
  static HOST_DEVICE M same(X a, X b) { return a == b; }
  template <typename X>
  static HOST_DEVICE X select(M m, X a, X b) { return m ? a : b; }
  // lanes whose mask is off read element 0
  static HOST_DEVICE V gather(const T* p, I i, M m) { return p[m ? i : 0]; }
  // single values into y; they are there after `finish`. `log` of vector lanes: W values and W indices more than y holds
  struct Writer {
    T* y;
    HOST_DEVICE Writer(T* y_, void*, int) : y(y_) {}
    HOST_DEVICE void put(I i, V v, M m) { if (m) y[i] = v; }
    HOST_DEVICE void finish() {}
  };
};

// NSZ_ONE_LANE: run on the CPU what CUDA runs
#if defined(__GNUC__) && !defined(__CUDACC__) && !defined(NSZ_ONE_LANE)

template <typename T>
struct IndexOf;
template <>
struct IndexOf<float> { using type = int32_t; };
template <>
struct IndexOf<double> { using type = int64_t; };

template <typename T, int W_>
struct VectorLanes {
  using T_ = T;
  using N = typename IndexOf<T>::type;
  static constexpr int W = W_;
  typedef T V __attribute__((vector_size(W * sizeof(T))));
  typedef N I __attribute__((vector_size(W * sizeof(T))));
#ifdef NSZ_AVX512
  static_assert(W * sizeof(T) == 64, "one 512-bit register");
  static constexpr bool kFloat = sizeof(T) == 4;
  using M = uint16_t;  // a bit a lane
#else
  using M = I;  // all bits of a true lane are set
#endif

  static V load(const T* p) { V v; __builtin_memcpy(&v, p, sizeof v); return v; }
  static void store(T* p, V v) { __builtin_memcpy(p, &v, sizeof v); }
  static V fill(T v) { return V{} + v; }
  static I index(int i) { return I{} + N(i); }
  static I numbers() { I i{}; for (int l = 0; l < W; ++l) i[l] = l; return i; }
  static V magnitude(V v) { return select(less(v, V{}), -v, v); }
  static V root(V v) { V r; for (int l = 0; l < W; ++l) r[l] = std::sqrt(v[l]); return r; }
  static double total(V v) {
#ifdef NSZ_AVX512
    if constexpr (sizeof(T) == 8) return _mm512_reduce_add_pd((__m512d)v);
    else return _mm512_reduce_add_pd(_mm512_add_pd(_mm512_cvtps_pd(_mm512_castps512_ps256((__m512)v)),
                                                   _mm512_cvtps_pd(_mm512_extractf32x8_ps((__m512)v, 1))));
#else
    double s = 0;
    for (int l = 0; l < W; ++l) s += v[l];
    return s;
#endif
  }

#ifdef NSZ_AVX512
  static M all() { return M((1u << W) - 1); }
  static M no(M m) { return M(~m & all()); }
  static bool any(M m) { return m != 0; }
  static bool of(M m, int lane) { return m >> lane & 1; }
  static M less(V a, V b) {
    if constexpr (kFloat) return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_LT_OQ);
    else return _mm512_cmp_pd_mask((__m512d)a, (__m512d)b, _CMP_LT_OQ);
  }
  static M same(V a, V b) {
    if constexpr (kFloat) return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_EQ_OQ);
    else return _mm512_cmp_pd_mask((__m512d)a, (__m512d)b, _CMP_EQ_OQ);
  }
  static M less(I a, I b) {
    if constexpr (kFloat) return _mm512_cmplt_epi32_mask((__m512i)a, (__m512i)b);
    else return _mm512_cmplt_epi64_mask((__m512i)a, (__m512i)b);
  }
  static V select(M m, V a, V b) {
    if constexpr (kFloat) return (V)_mm512_mask_blend_ps(m, (__m512)b, (__m512)a);
    else return (V)_mm512_mask_blend_pd(__mmask8(m), (__m512d)b, (__m512d)a);
  }
  static I select(M m, I a, I b) {
    if constexpr (kFloat) return (I)_mm512_mask_blend_epi32(m, (__m512i)b, (__m512i)a);
    else return (I)_mm512_mask_blend_epi64(__mmask8(m), (__m512i)b, (__m512i)a);
  }
  static V gather(const T* p, I i, M m) {  // lanes whose mask is off read nothing
    if constexpr (kFloat) return (V)_mm512_mask_i32gather_ps(_mm512_setzero_ps(), m, (__m512i)i, p, 4);
    else return (V)_mm512_mask_i64gather_pd(_mm512_setzero_pd(), __mmask8(m), (__m512i)i, p, 8);
  }
#else
  static M all() { return ~M{}; }
  static M no(M m) { return ~m; }
  static bool any(M m) { N r = 0; for (int l = 0; l < W; ++l) r |= m[l]; return r != 0; }
  static bool of(M m, int lane) { return m[lane] != 0; }
  template <typename X>
  static M less(X a, X b) { return a < b; }
  template <typename X>
  static M same(X a, X b) { return a == b; }
  template <typename X>
  static X select(M m, X a, X b) { return m ? a : b; }
  static V gather(const T* p, I i, M m) {
    i &= m;
    V v;
    for (int l = 0; l < W; ++l) v[l] = p[i[l]];
    return v;
  }
#endif

  // t[i][l] <-> t[l][i], by swapping blocks of 1, 2, 4, ... across the diagonal
  static void transpose(V* t) {
#ifdef __clang__
    T m[W][W];
    for (int i = 0; i < W; ++i) store(m[i], t[i]);
    for (int i = 0; i < W; ++i)
      for (int l = 0; l < W; ++l) t[i][l] = m[l][i];
#else
#pragma GCC unroll 8
    for (int s = 1; s < W; s *= 2) {
      I first{}, second{};  // where in (a, b) the elements come from
      for (int l = 0; l < W; ++l) {
        first[l] = l & s ? W + l - s : l;
        second[l] = l & s ? W + l : l + s;
      }
      for (int i = 0; i < W; ++i) {
        if (i & s) continue;
        const V a = t[i], b = t[i + s];
        t[i] = __builtin_shuffle(a, b, first);
        t[i + s] = __builtin_shuffle(a, b, second);
      }
    }
#endif
  }

  // A scatter instruction takes longer than all else that a turn does: the values are packed into a log instead, and
  // written one by one at the end.
  struct Writer {
    T* y;
    T* values;
    N* places;
    int64_t count = 0;
    Writer(T* y_, void* log, int size) : y(y_), values((T*)log), places((N*)((T*)log + size + W)) {}
    void put(I i, V v, M m) {
#ifdef NSZ_AVX512
      if constexpr (kFloat) {
        _mm512_storeu_ps(values + count, _mm512_maskz_compress_ps(m, (__m512)v));
        _mm512_storeu_si512(places + count, _mm512_maskz_compress_epi32(m, (__m512i)i));
      } else {
        _mm512_storeu_pd(values + count, _mm512_maskz_compress_pd(__mmask8(m), (__m512d)v));
        _mm512_storeu_si512(places + count, _mm512_maskz_compress_epi64(__mmask8(m), (__m512i)i));
      }
      count += __builtin_popcount(m);
#else
      for (int l = 0; l < W; ++l) {
        values[count] = v[l];
        places[count] = i[l];
        count += m[l] != 0;
      }
#endif
    }
    void finish() {
      for (int64_t c = 0; c < count; ++c) y[places[c]] = values[c];
    }
  };
};

// what the CPU file runs: a vector register of 512 bits, or, where there is none, as much work in narrower ones
template <typename T>
#ifdef NSZ_AVX512
using CpuLanes = VectorLanes<T, 64 / sizeof(T)>;
#else
using CpuLanes = VectorLanes<T, 32 / sizeof(T)>;
#endif

#else

template <typename T>
using CpuLanes = OneLane<T>;

#endif

}  // namespace nsz
