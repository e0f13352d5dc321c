// CPU side of the operators, what they share: rows in blocks of W lanes, blocks over threads.
#pragma once

#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/util/Exception.h>

#include <algorithm>
#include <vector>

#include "tv1d.h"
#include "tv1d_active.h"
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

inline int64_t grain_for(int64_t work) { return std::max<int64_t>(1, 4096 / std::max<int64_t>(1, work)); }

// What a thread needs to solve a block of lines; it keeps it, because a 2-D solve comes back hundreds of times.
template <typename T>
struct Scratch {
  std::vector<T> x, y, edges, log;
  std::vector<double> newton;
  std::vector<Piece> pieces;
  static Scratch& of_thread(int64_t values) {
    static thread_local Scratch s;
    if (int64_t(s.x.size()) < values) s.x.resize(values), s.y.resize(values), s.log.resize(2 * values + 4 * CpuLanes<T>::W);
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
  bool modest;  // lam is known not to exceed what the duals need (largest_dual)
  // Where the solution steps (ActiveSet), kept between solves of similar fields; null: not kept. `warm`: there from an
  // earlier solve.
  typename CpuLanes<T>::M* sets = nullptr;
  bool warm = false;
  T peak = 0;  // about the largest magnitude of a sample, with `sets`
};

// Entries of `sets` for so many lines: up and down for each edge of each block, and blocks come in pairs.
template <typename T>
int64_t size_of_sets(int64_t count, int64_t length) {
  constexpr int64_t W = CpuLanes<T>::W;
  return (count + 2 * W - 1) / (2 * W) * 4 * length;
}

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

// Rounds of the active set method before the direct one is the better choice.
constexpr int kRounds = 10;

// The prox of one or two blocks of W lines; block k lies at k * N * W of the scratch, its sets at sets + 2 * k * N.
template <typename T, bool kEdges>
void solve_blocks(const Lines<T>& f, const T* lam, const T* edges, int live, Method method, Scratch<T>& s,
                  typename CpuLanes<T>::M* sets) {
  using L = CpuLanes<T>;
  using Scan = DirectScan<L, kEdges>;
  constexpr int W = L::W;
  const int N = int(f.length), block = N * W;
  const auto weights = [&](int k) {
    const auto cap = f.modest && !kEdges ? L::load(lam + k * W) : largest_dual<L>(s.x.data() + k * block, N, W);
    return Weights<L, kEdges>(L::load(lam + k * W), edges + (kEdges ? k * block : 0), W, cap);
  };
  const auto alone = [&](int i, auto solve) {  // line i of the blocks by itself
    const T* x = s.x.data() + i / W * block + i % W;
    const auto cap = largest_dual<OneLane<T>>(x, N, W);
    const Weights<OneLane<T>, kEdges> w(lam[i], edges + (kEdges ? i / W * block + i % W : 0), W, cap);
    solve(x, s.y.data() + i / W * block + i % W, w);
  };
  if (method == kNewton) {
    s.newton.resize(7 * N);
    for (int i = 0; i < live; ++i)
      alone(i, [&](const T* x, T* y, const auto& w) { tv1d_newton<T>(x, y, N, W, w, s.newton.data()); });
    return;
  }
  using Active = ActiveSet<L, kEdges>;
  const auto active = [&](int k) {
    return Active(s.x.data() + k * block, s.y.data() + k * block, N, W, weights(k), sets + 2 * k * N, f.peak);
  };
  if (sets && f.warm) {
    Active a = active(0), b = active(live > W ? 1 : 0);
    if (tv1d_active_set(a, live > W ? &b : nullptr, kRounds)) return;
  }
  const int budget = 12 * N + 64;
  typename L::M late[2];
  Scan a(s.x.data(), s.y.data(), N, W, weights(0), s.log.data());
  if (live > W) {
    Scan b(s.x.data() + block, s.y.data() + block, N, W, weights(1), s.log.data() + s.log.size() / 2);
    tv1d_direct_two(a, b, budget);
    late[1] = b.finish(s.y.data() + block);
  } else {
    for (int turn = 0; turn < budget && L::any(a.active); ++turn) a.turn();
  }
  late[0] = a.finish(s.y.data());
  for (int i = 0; i < live; ++i) {
    if (!L::of(late[i / W], i % W)) continue;
    s.pieces.resize(2 * N);
    alone(i, [&](const T* x, T* y, const auto& w) { tv1d_taut_string<T>(x, y, N, W, w, s.pieces.data()); });
  }
  if (sets)
    for (int k = 0; k * W < live; ++k) active(k).read_sets();
}

// argmin of lines [begin, end)
template <typename T, class Read, class Write>
void solve_lines(const Lines<T>& f, int64_t begin, int64_t end, Method method, Scratch<T>& s, const Read& read,
                 const Write& write) {
  constexpr int W = CpuLanes<T>::W;
  const int N = int(f.length);
  T lam[2 * W];
  for (int64_t first = begin; first < end; first += 2 * W) {
    const int live = int(std::min<int64_t>(2 * W, end - first));
    const auto line = [&](int i) { return first + std::min(i, live - 1); };
    for (int at = 0; at < live; at += W)
      gather_lines(f, first + at, std::min(W, live - at), s.x.data() + at * N, read);
    for (int i = 0; i < 2 * W; ++i) lam[i] = f.lam[line(i) * f.lam_step];
    const auto sets = f.sets ? f.sets + first / W * 2 * N : nullptr;
    if (f.edges) {
      s.edges.resize(size_t(N) * 2 * W);
      for (int i = 0; i < 2 * W; ++i)
        for (int n = 0; n + 1 < N; ++n)
          s.edges[(i / W * N + n) * W + i % W] = f.edges[line(i) * f.edge_line + n * f.edge_step];
      solve_blocks<T, true>(f, lam, s.edges.data(), live, method, s, sets);
    } else {
      solve_blocks<T, false>(f, lam, nullptr, live, method, s, sets);
    }
    for (int at = 0; at < live; at += W)
      scatter_lines(f, first + at, std::min(W, live - at), s.y.data() + at * N, write);
  }
}

// Blocks, not lines, go to threads: where a block begins must not depend on how many threads there are.
template <typename T, class Read, class Write>
void solve_all(const Lines<T>& f, Method method, bool threads, const Read& read, const Write& write) {
  constexpr int W = 2 * CpuLanes<T>::W;
  spread(threads, (f.count + W - 1) / W, grain_for(W * f.length), [&](int64_t a, int64_t b) {
    Scratch<T>& s = Scratch<T>::of_thread(W * f.length);
    solve_lines<T>(f, a * W, std::min<int64_t>(b * W, f.count), method, s, read, write);
  });
}

}  // namespace nsz
