// CPU side of the operators, what they share: rows in blocks of W lanes, blocks over threads.
#pragma once

#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/util/Exception.h>

#include <algorithm>
#include <vector>

#include "tv1d.h"
#include "tv1d_newton.h"

namespace nsz {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;

// Runs f(begin, end) over [0, n) on torch's threads, or here when the caller already runs on one of them.
template <class F>
void spread(bool threads, int64_t n, int64_t grain, const F& f) {
  if (threads) torch::stable::parallel_for(0, n, grain, f);
  else f(0, n);
}

inline int64_t grain_for(int64_t work) { return std::max<int64_t>(1, 16384 / std::max<int64_t>(1, work)); }

// What a thread needs to solve a block of lines; it keeps it, because a 2-D solve comes back hundreds of times.
template <typename T>
struct Scratch {
  std::vector<T> x, y, edges;
  std::vector<double> newton;
  std::vector<Piece> pieces;
  static Scratch& of_thread(int64_t values) {
    static thread_local Scratch s;
    if (int64_t(s.x.size()) < values) s.x.resize(values), s.y.resize(values);
    return s;
  }
};

enum Method { kDirect = 0, kNewton = 1 };

// Lines of a field: line l starts at l * line, its samples are `step` apart. Their edge weights: one number a line
// (edges null: lam[l * lam_step]), or numbers laid out with `edge_line`, `edge_step`.
template <typename T>
struct Lines {
  int64_t count, length, line, step;
  const T* lam;
  int64_t lam_step;
  const T* edges;
  int64_t edge_line, edge_step;
};

// Copies W lines from or to interleaved scratch. `live` of them exist; the spare lanes repeat the last one. The field is
// seen through read(lanes, offset) and write(lanes, offset, values), which handle as many samples as their lanes have.
template <typename T, class Read>
void gather_lines(const Lines<T>& f, int64_t first, int live, T* out, const Read& read) {
  using L = CpuLanes<T>;
  using One = OneLane<T>;
  constexpr int W = L::W;
  const int64_t N = f.length;
  if (live == W && f.line == 1) {  // columns: the lanes lie side by side
    for (int64_t n = 0; n < N; ++n) L::store(out + n * W, read(L{}, first + n * f.step));
    return;
  }
  int64_t n = 0;
  if (live == W && f.step == 1) {  // rows: W x W blocks turned over
    typename L::V t[W];
    for (; n + W <= N; n += W) {
      for (int l = 0; l < W; ++l) t[l] = read(L{}, (first + l) * f.line + n);
      L::transpose(t);
      for (int k = 0; k < W; ++k) L::store(out + (n + k) * W, t[k]);
    }
  }
  for (; n < N; ++n)
    for (int l = 0; l < W; ++l) out[n * W + l] = read(One{}, (first + std::min(l, live - 1)) * f.line + n * f.step);
}

template <typename T, class Write>
void scatter_lines(const Lines<T>& f, int64_t first, int live, const T* in, const Write& write) {
  using L = CpuLanes<T>;
  using One = OneLane<T>;
  constexpr int W = L::W;
  const int64_t N = f.length;
  if (live == W && f.line == 1) {
    for (int64_t n = 0; n < N; ++n) write(L{}, first + n * f.step, L::load(in + n * W));
    return;
  }
  int64_t n = 0;
  if (live == W && f.step == 1) {
    typename L::V t[W];
    for (; n + W <= N; n += W) {
      for (int k = 0; k < W; ++k) t[k] = L::load(in + (n + k) * W);
      L::transpose(t);
      for (int l = 0; l < W; ++l) write(L{}, (first + l) * f.line + n, t[l]);
    }
  }
  for (; n < N; ++n)
    for (int l = 0; l < live; ++l) write(One{}, (first + l) * f.line + n * f.step, in[n * W + l]);
}

// The prox of W lines in scratch.
template <typename T, bool kEdges>
void solve_block(const T* lam, const T* edges, int N, int live, Method method, Scratch<T>& s) {
  using L = CpuLanes<T>;
  constexpr int W = L::W;
  const auto cap = largest_dual<L>(s.x.data(), N, W);
  T caps[W];
  L::store(caps, cap);
  const auto alone = [&](int l) {
    return Weights<OneLane<T>, kEdges>(lam[l], edges ? edges + l : nullptr, W, caps[l]);
  };
  if (method == kNewton) {
    s.newton.resize(7 * N);
    for (int l = 0; l < live; ++l) tv1d_newton<T>(s.x.data() + l, s.y.data() + l, N, W, alone(l), s.newton.data());
    return;
  }
  const Weights<L, kEdges> w(L::load(lam), edges, W, cap);
  const auto late = tv1d_direct<L>(s.x.data(), s.y.data(), N, W, w, 12 * N + 64);
  if (!L::any(late)) return;
  s.pieces.resize(2 * N);
  for (int l = 0; l < live; ++l)
    if (L::of(late, l)) tv1d_taut_string<T>(s.x.data() + l, s.y.data() + l, N, W, alone(l), s.pieces.data());
}

// argmin of lines [begin, end)
template <typename T, class Read, class Write>
void solve_lines(const Lines<T>& f, int64_t begin, int64_t end, Method method, Scratch<T>& s, const Read& read,
                 const Write& write) {
  constexpr int W = CpuLanes<T>::W;
  const int N = int(f.length);
  T lam[W];
  for (int64_t first = begin; first < end; first += W) {
    const int live = int(std::min<int64_t>(W, end - first));
    gather_lines(f, first, live, s.x.data(), read);
    for (int l = 0; l < W; ++l) lam[l] = f.lam[(first + std::min(l, live - 1)) * f.lam_step];
    if (f.edges) {
      s.edges.resize(size_t(N) * W);
      for (int l = 0; l < W; ++l)
        for (int n = 0; n + 1 < N; ++n)
          s.edges[n * W + l] = f.edges[(first + std::min(l, live - 1)) * f.edge_line + n * f.edge_step];
      solve_block<T, true>(lam, s.edges.data(), N, live, method, s);
    } else {
      solve_block<T, false>(lam, nullptr, N, live, method, s);
    }
    scatter_lines(f, first, live, s.y.data(), write);
  }
}

// Blocks, not lines, go to threads: where a block begins must not depend on how many threads there are.
template <typename T, class Read, class Write>
void solve_all(const Lines<T>& f, Method method, bool threads, const Read& read, const Write& write) {
  constexpr int W = CpuLanes<T>::W;
  spread(threads, (f.count + W - 1) / W, grain_for(W * f.length), [&](int64_t a, int64_t b) {
    Scratch<T>& s = Scratch<T>::of_thread(W * f.length);
    solve_lines<T>(f, a * W, std::min<int64_t>(b * W, f.count), method, s, read, write);
  });
}

}  // namespace nsz
