// 1-D total variation, on the host and on the device:
//   argmin_y  1/2 ||y - x||^2 + sum_n w_n |y_{n+1} - y_n|,   w_n >= 0 on the edge n between x_n and x_{n+1}
// Data are interleaved (lanes.h): sample n of lane l at n * stride + l.
#pragma once

#include "lanes.h"

namespace nsz {

// Weights of the edges: one number a lane, or one number an edge, interleaved like the samples.
template <class L, bool kEdges>
struct Weights {
  using T = typename L::T_;
  typename L::V lam;  // at most `cap` already
  const T* edges;
  int stride;  // of a single row's edges
  typename L::V cap;  // a weight that no dual variable can reach: larger ones act like it and would cost digits

  HOST_DEVICE Weights(typename L::V lam_, const T* edges_, int stride_, typename L::V cap_)
      : lam(L::select(L::less(lam_, cap_), lam_, cap_)), edges(edges_), stride(stride_), cap(cap_) {}

  // at the edge of each lane that begins at the sample in place `at`; 0 at the last sample, where the row ends free
  HOST_DEVICE typename L::V at(typename L::I at, typename L::M inside) const {
    return L::select(inside, within(at, inside), L::fill(0));
  }
  // the same where none of the lanes in the mask is at its last sample
  HOST_DEVICE typename L::V within(typename L::I at, typename L::M mask) const {
    if constexpr (!kEdges) return lam;
    const typename L::V w = L::gather(edges, at, mask);
    return L::select(L::less(w, cap), w, cap);
  }
  // the same where all lanes are at one edge, the one in place `at` of the first lane
  HOST_DEVICE typename L::V along(int at, bool inside) const {
    if constexpr (!kEdges) return lam;
    if (!inside) return L::fill(0);
    const typename L::V w = L::load(edges + at);
    return L::select(L::less(w, cap), w, cap);
  }
  // of a single row, at edge n
  HOST_DEVICE T of_edge(int n, int N) const { return at(n * stride, n < N - 1); }
};

// The dual is u_n = R_n - Y_n with R the running sum of x - mean and Y the taut string in the tube around R. The string
// turns down only at the lower wall and up only at the upper one, so |Y| <= M = max |R| and |u| <= 2 M.
template <class L>
HOST_DEVICE typename L::V largest_dual(const typename L::T_* x, int N, int stride) {
  using T = typename L::T_;
  typename L::V mean = L::fill(0), sum = mean, most = mean;
  for (int n = 0; n < N; ++n) mean = mean + L::load(x + n * stride);
  mean = mean / T(N);
  for (int n = 0; n < N; ++n) {
    sum = sum + (L::load(x + n * stride) - mean);
    const typename L::V size = L::magnitude(sum);
    most = L::select(L::less(most, size), size, most);
  }
  return most * T(2.01);
}

// Direct method of Condat (IEEE SPL 2013), carried over to weighted edges. For the segment that starts at k0 it keeps
// the lowest and the highest level (vmin, vmax) that the tube |u_n| <= w_n still allows, and the dual variables (umin,
// umax) that they lead to at k; km and kp are where these last touched the tube. A sample that neither level reaches
// ends the segment at km (a step down) or kp (a step up), and the scan goes on from there.
// A lane takes one step a turn, so lanes do not wait for each other. A segment begins with a turn that touches the tube
// on both sides (`fresh`); the levels start at 0 then, and umin = umax is the dual on the edge before.
template <class L, bool kEdges>
struct DirectScan {
  using T = typename L::T_;
  using V = typename L::V;
  using I = typename L::I;
  using M = typename L::M;
  const T* x;
  int N, stride;
  Weights<L, kEdges> w;
  typename L::Writer levels;
  I last;           // places (n * stride + lane) of the last sample,
  I k, k0, km, kp;  // and of these
  V vmin, vmax, umin, umax, length;
  M active, fresh;

  HOST_DEVICE DirectScan(const T* x_, T* y, int N_, int stride_, const Weights<L, kEdges>& w_, void* log)
      : x(x_), N(N_), stride(stride_), w(w_), levels(y, log, N_ * L::W),
        last(L::numbers() + L::index((N_ - 1) * stride_)), k(L::numbers() - L::index(stride_)), k0(L::numbers()), km(k0),
        kp(k0), vmin(L::fill(0)), vmax(vmin), umin(vmin), umax(vmin), length(vmin), active(L::all()), fresh(L::all()) {
    const V unset = L::fill(std::numeric_limits<T>::quiet_NaN());
    for (int n = 0; n < N; ++n) L::store(y + n * stride, unset);  // a level is written where its segment starts
  }

  HOST_DEVICE void turn() {
    const I next = k + L::index(stride);
    const V wn = w.at(next, active & L::less(next, last));
    const V xn = L::gather(x, next, active);
    const V lower = umin + xn - vmin, upper = umax + xn - vmax;  // the duals at `next`, were the levels kept
    const M old = active & L::no(fresh);
    const M down = old & L::less(lower, -wn);
    const M up = old & L::no(down) & L::less(wn, upper);
    const M jump = down | up, go = active & L::no(jump);

    levels.put(k0, L::select(down, vmin, vmax), jump);
    length = length + L::fill(1);
    const V share = L::fill(1) / length;
    const M raise = go & (fresh | L::no(L::less(lower, wn))), sink = go & (fresh | L::no(L::less(-wn, upper)));
    vmin = L::select(raise, vmin + (lower - wn) * share, vmin);
    vmax = L::select(sink, vmax + (upper + wn) * share, vmax);
    // from here on lanes that are done hold anything: only their k0 and vmin are looked at again
    const I end = L::select(down, km, kp);
    const V edge = w.within(end, jump), u = L::select(down, edge, -edge);
    umin = L::select(jump, u, L::select(raise, wn, lower));
    umax = L::select(jump, u, L::select(sink, -wn, upper));
    km = L::select(raise, next, km);
    kp = L::select(sink, next, kp);
    vmin = L::select(jump, L::fill(0), vmin);
    vmax = L::select(jump, L::fill(0), vmax);
    length = L::select(jump, L::fill(0), length);
    k0 = L::select(jump, end + L::index(stride), k0);
    k = L::select(jump, end, next);
    fresh = jump;
    active = active & L::less(k, last);
  }

  // Fills the segments. Returns the mask of lanes that have not come to the end; their y is unfinished.
  HOST_DEVICE M finish(T* y) {
    levels.put(k0, vmin, L::all());
    levels.finish();
    V level = L::load(y);
    for (int n = 1; n < N; ++n) {
      const V v = L::load(y + n * stride);
      level = L::select(L::same(v, v), v, level);
      L::store(y + n * stride, level);
    }
    return active;
  }
};

// At most `budget` turns: a lane that has to scan much again takes O(N^2) at worst, and is better finished otherwise.
template <class L, bool kEdges>
HOST_DEVICE typename L::M tv1d_direct(const typename L::T_* x, typename L::T_* y, int N, int stride,
                                      const Weights<L, kEdges>& w, int budget, void* log) {
  DirectScan<L, kEdges> scan(x, y, N, stride, w, log);
  for (int turn = 0; turn < budget && L::any(scan.active); ++turn) scan.turn();
  return scan.finish(y);
}

// Two blocks of lanes at once: a turn is a chain of dependent steps, and the processor fills the waits of one block with
// the work of the other.
template <class L, bool kEdges>
HOST_DEVICE void tv1d_direct_two(DirectScan<L, kEdges>& a, DirectScan<L, kEdges>& b, int budget) {
  for (int turn = 0; turn < budget && L::any(a.active | b.active); ++turn) {
    a.turn();
    b.turn();
  }
}

// A straight piece of a hull: it covers `len` samples and rises by `sum` over them; its slope is a level of y.
struct Piece {
  double sum, len;
};

HOST_DEVICE bool steeper(const Piece& a, const Piece& b) {  // slope(a) >= slope(b), without a division
  return a.sum * b.len >= b.sum * a.len;
}

// The same solution as the taut string through the tube of radius w_n around the cumulative sums (Davies & Kovac 2001):
// a funnel of two hulls that start at the last knot, `up`, the convex minorant of the upper wall, and `lo`, the concave
// majorant of the lower one. Each sample enters and leaves a hull once, so it is O(N) for every input; it branches too
// much to run in lock-step. `work` holds 2N pieces.
template <typename T, bool kEdges>
HOST_DEVICE void tv1d_taut_string(const T* x, T* y, int N, int stride, const Weights<OneLane<T>, kEdges>& w,
                                  Piece* work) {
  Piece *up = work, *lo = work + N;
  int u0 = 0, u1 = 0, l0 = 0, l1 = 0;  // the live pieces of up and lo
  int knot = 0;
  double before = 0;
  const auto write = [&](const Piece& p) {
    const T level = T(p.sum / p.len);
    for (const int end = knot + int(p.len); knot < end; ++knot) y[knot * stride] = level;
  };
  for (int k = 0; k < N; ++k) {
    const double after = w.of_edge(k, N), xk = x[k * stride];
    Piece p{xk + (after - before), 1};
    while (u1 > u0 && steeper(up[u1 - 1], p)) {
      --u1;
      p.sum += up[u1].sum;
      p.len += up[u1].len;
    }
    if (u1 == u0) {  // the upper wall is seen from the knot: where it dips under `lo`, the string bends around `lo`
      for (; l1 > l0 && steeper(lo[l0], p); ++l0) {
        write(lo[l0]);
        p.sum -= lo[l0].sum;
        p.len -= lo[l0].len;
      }
    }
    up[u1++] = p;

    Piece q{xk - (after - before), 1};
    while (l1 > l0 && steeper(q, lo[l1 - 1])) {
      --l1;
      q.sum += lo[l1].sum;
      q.len += lo[l1].len;
    }
    if (l1 == l0) {
      for (; u1 - u0 > 1 && steeper(q, up[u0]); ++u0) {
        write(up[u0]);
        q.sum -= up[u0].sum;
        q.len -= up[u0].len;
      }
    }
    lo[l1++] = q;
    before = after;
  }
  write(up[u0]);
}

// Backward of every method: y is constant on segments, the Jacobian averages over them. gx gets the mean of g over the
// segment of each sample.
template <class L>
HOST_DEVICE void tv1d_segment_mean(const typename L::T_* y, const typename L::T_* g, typename L::T_* gx, int N,
                                   int stride) {
  using V = typename L::V;
  V last = L::load(y), sum = L::fill(0), len = L::fill(0);
  for (int n = 0; n < N; ++n) {  // the mean of the segment so far, right at its last sample
    const V level = L::load(y + n * stride);
    const auto same = L::same(level, last);
    sum = L::select(same, sum, L::fill(0)) + L::load(g + n * stride);
    len = L::select(same, len, L::fill(0)) + L::fill(1);
    L::store(gx + n * stride, sum / len);
    last = level;
  }
  V mean = L::load(gx + (N - 1) * stride);
  for (int n = N - 2; n >= 0; --n) {
    const auto same = L::same(L::load(y + n * stride), L::load(y + (n + 1) * stride));
    mean = L::select(same, mean, L::load(gx + n * stride));
    L::store(gx + n * stride, mean);
  }
}

// dL/dw_n = sgn(y_{n+1} - y_n) (gx_n - gx_{n+1}): a heavier edge pulls its two segments towards each other.
template <class L>
HOST_DEVICE typename L::V tv1d_edge_grad(const typename L::T_* y, const typename L::T_* gx, int n, int stride) {
  const auto a = L::load(y + n * stride), b = L::load(y + (n + 1) * stride);
  const auto d = L::load(gx + n * stride) - L::load(gx + (n + 1) * stride);
  return L::select(L::less(a, b), d, L::select(L::less(b, a), -d, L::fill(0)));
}

}  // namespace nsz
