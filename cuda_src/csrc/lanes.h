// Lanes: the same algorithm for one row (a CUDA thread, or any compiler) and for W rows in lock-step (CPU vectors).
// An algorithm is a template over a lane type L, which names
//   V  values, one a lane        I  indices        M  masks (all bits of a true lane are set)
// and reads its data interleaved: sample n of lane l lies at n * stride + l.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

#ifdef __CUDACC__
#define HOST_DEVICE __host__ __device__ __forceinline__
#else
#define HOST_DEVICE inline
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
  static HOST_DEVICE V values(I i) { return V(i); }
  static HOST_DEVICE V magnitude(V v) { return v < 0 ? -v : v; }
  static HOST_DEVICE V root(V v) { return sqrt(v); }
  static HOST_DEVICE double total(V v) { return v; }
  static HOST_DEVICE void transpose(V*) {}
  static HOST_DEVICE bool any(M m) { return m; }
  static HOST_DEVICE bool of(M m, int) { return m; }
  static HOST_DEVICE M no(M m) { return !m; }
  template <typename X>
  static HOST_DEVICE X select(M m, X a, X b) { return m ? a : b; }
  // lanes whose mask is off read element 0 and write nothing
  static HOST_DEVICE V gather(const T* p, I i, M m) { return p[m ? i : 0]; }
  static HOST_DEVICE void scatter(T* p, I i, V v, M m) { if (m) p[i] = v; }
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
  using M = I;

  static V load(const T* p) { V v; __builtin_memcpy(&v, p, sizeof v); return v; }
  static void store(T* p, V v) { __builtin_memcpy(p, &v, sizeof v); }
  static V fill(T v) { return V{} + v; }
  static I index(int i) { return I{} + N(i); }
  static I numbers() { I i{}; for (int l = 0; l < W; ++l) i[l] = l; return i; }
  static V values(I i) { return __builtin_convertvector(i, V); }
  static V magnitude(V v) { return v < 0 ? -v : v; }
  static V root(V v) { V r; for (int l = 0; l < W; ++l) r[l] = std::sqrt(v[l]); return r; }
  static double total(V v) { double s = 0; for (int l = 0; l < W; ++l) s += v[l]; return s; }
  static bool of(M m, int lane) { return m[lane] != 0; }
  static M no(M m) { return ~m; }
  template <typename X>
  static X select(M m, X a, X b) { return m ? a : b; }

#ifdef NSZ_AVX512
  static constexpr bool kFloat16 = W == 16 && sizeof(T) == 4;
  static constexpr bool kDouble8 = W == 8 && sizeof(T) == 8;
  static auto bits(M m) {
    if constexpr (kFloat16) return _mm512_movepi32_mask((__m512i)m);
    else return _mm512_movepi64_mask((__m512i)m);
  }
#else
  static constexpr bool kFloat16 = false, kDouble8 = false;
  static int bits(M) { return 0; }
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

  static bool any(M m) {
    if constexpr (kFloat16 || kDouble8) return bits(m) != 0;
    N r = 0;
    for (int l = 0; l < W; ++l) r |= m[l];
    return r != 0;
  }
  static V gather(const T* p, I i, M m) {
    i &= m;
#ifdef NSZ_AVX512
    if constexpr (kFloat16) return (V)_mm512_i32gather_ps((__m512i)i, p, 4);
    if constexpr (kDouble8) return (V)_mm512_i64gather_pd((__m512i)i, p, 8);
#endif
    V v;
    for (int l = 0; l < W; ++l) v[l] = p[i[l]];
    return v;
  }
  static void scatter(T* p, I i, V v, M m) {
#ifdef NSZ_AVX512
    if constexpr (kFloat16) return _mm512_mask_i32scatter_ps(p, bits(m), (__m512i)i, (__m512)v, 4);
    if constexpr (kDouble8) return _mm512_mask_i64scatter_pd(p, bits(m), (__m512i)i, (__m512d)v, 8);
#endif
    for (int l = 0; l < W; ++l)
      if (m[l]) p[i[l]] = v[l];
  }
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
