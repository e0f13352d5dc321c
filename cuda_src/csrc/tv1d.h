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
  int stride;
  typename L::V cap;  // a weight that no dual variable can reach: larger ones act like it and would cost digits

  HOST_DEVICE Weights(typename L::V lam_, const T* edges_, int stride_, typename L::V cap_)
      : lam(L::select(lam_ < cap_, lam_, cap_)), edges(edges_), stride(stride_), cap(cap_) {}

  // at edge n of each lane; 0 beyond the last edge, where the row ends free
  HOST_DEVICE typename L::V at(typename L::I n, typename L::M m, int N, typename L::I lane) const {
    typename L::V w = lam;
    if constexpr (kEdges) {
      w = L::gather(edges, n * stride + lane, m & (n < N - 1));
      w = L::select(w < cap, w, cap);
    }
    return L::select(n < N - 1, w, L::fill(0));
  }
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
    most = L::select(size > most, size, most);
  }
  return most * T(2.01);
}

// Direct method of Condat (IEEE SPL 2013), carried over to weighted edges. For the segment that starts at k0 it keeps
// the lowest and the highest level (vmin, vmax) that the tube |u_n| <= w_n still allows, and the dual variables (umin,
// umax) that they lead to at k; km and kp are where these last touched the tube. A sample that neither level reaches
// ends the segment at km (a step down) or kp (a step up), and the scan goes on from there.
// A lane takes one step a turn, so lanes do not wait for each other. Returns the mask of lanes that used up `budget`
// turns (a rescan can be long: O(N^2) at worst); their y is unfinished.
template <class L, bool kEdges>
HOST_DEVICE typename L::M tv1d_direct(const typename L::T_* x, typename L::T_* y, int N, int stride,
                                      const Weights<L, kEdges>& w, int budget) {
  using T = typename L::T_;
  using V = typename L::V;
  using I = typename L::I;
  using M = typename L::M;
  const I lane = L::numbers();
  const M every = lane >= 0;
  const V unset = L::fill(std::numeric_limits<T>::quiet_NaN());
  for (int n = 0; n < N; ++n) L::store(y + n * stride, unset);  // a level is written where its segment starts

  I k = L::index(0), k0 = k, km = k, kp = k;
  const V x0 = L::load(x), w0 = w.at(k, every, N, lane);
  V vmin = x0 - w0, vmax = x0 + w0, umin = w0, umax = -w0;
  M active = k < N - 1;
  for (int turn = 0; turn < budget && L::any(active); ++turn) {
    const I next = k + 1;
    const V wn = w.at(next, active, N, lane);
    const V xn = L::gather(x, next * stride + lane, active);
    const V lower = umin + xn - vmin, upper = umax + xn - vmax;  // the duals at `next`, were the levels kept
    const M down = active & (lower < -wn);
    const M up = active & L::no(down) & (upper > wn);
    const M jump = down | up, go = active & L::no(jump);

    const V share = T(1) / L::values(next - k0 + 1);
    const M raise = go & (lower >= wn), sink = go & (upper <= -wn);
    vmin = L::select(raise, vmin + (lower - wn) * share, vmin);
    vmax = L::select(sink, vmax + (upper + wn) * share, vmax);
    umin = L::select(go, L::select(raise, wn, lower), umin);
    umax = L::select(go, L::select(sink, -wn, upper), umax);
    km = L::select(raise, next, km);
    kp = L::select(sink, next, kp);
    k = L::select(go, next, k);

    if (L::any(jump)) {
      L::scatter(y, k0 * stride + lane, L::select(down, vmin, vmax), jump);
      const I end = L::select(down, km, kp), start = end + 1;
      const V xs = L::gather(x, start * stride + lane, jump);
      const V we = w.at(end, jump, N, lane), ws = w.at(start, jump, N, lane);
      const V u = L::select(down, we, -we);  // the dual on the edge of the step
      vmin = L::select(jump, xs + u - ws, vmin);
      vmax = L::select(jump, xs + u + ws, vmax);
      umin = L::select(jump, ws, umin);
      umax = L::select(jump, -ws, umax);
      k = L::select(jump, start, k);
      k0 = L::select(jump, start, k0);
      km = L::select(jump, start, km);
      kp = L::select(jump, start, kp);
    }
    active = k < N - 1;
  }
  L::scatter(y, k0 * stride + lane, vmin, every);

  V level = L::load(y);
  for (int n = 1; n < N; ++n) {
    const V v = L::load(y + n * stride);
    level = L::select(v == v, v, level);
    L::store(y + n * stride, level);
  }
  return active;
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
    const double after = w.at(k, true, N, 0), xk = x[k * stride];
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
    const auto same = level == last;
    sum = L::select(same, sum, L::fill(0)) + L::load(g + n * stride);
    len = L::select(same, len, L::fill(0)) + typename L::T_(1);
    L::store(gx + n * stride, sum / len);
    last = level;
  }
  V mean = L::load(gx + (N - 1) * stride);
  for (int n = N - 2; n >= 0; --n) {
    const auto same = L::load(y + n * stride) == L::load(y + (n + 1) * stride);
    mean = L::select(same, mean, L::load(gx + n * stride));
    L::store(gx + n * stride, mean);
  }
}

// dL/dw_n = sgn(y_{n+1} - y_n) (gx_n - gx_{n+1}): a heavier edge pulls its two segments towards each other.
template <class L>
HOST_DEVICE typename L::V tv1d_edge_grad(const typename L::T_* y, const typename L::T_* gx, int n, int stride) {
  const auto a = L::load(y + n * stride), b = L::load(y + (n + 1) * stride);
  const auto d = L::load(gx + n * stride) - L::load(gx + (n + 1) * stride);
  return L::select(b > a, d, L::select(b < a, -d, L::fill(0)));
}

}  // namespace nsz
