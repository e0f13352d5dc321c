// 1-D total variation from a good guess: the primal-dual active set method (Hintermueller, Ito & Kunisch 2003) on the dual
//   y_n = x_n + u_n - u_{n-1},   |u_n| <= w_n,   u_n = w_n where y steps up,  -w_n where it steps down.
// The guess is the set of edges where y steps up and the set where it steps down. Given both, y is the mean of each
// piece, corrected by the duals at its ends, and u follows. An edge whose u leaves the tube joins a set, one where y
// steps the other way leaves it. If no edge does either, y is the solution. D D^T is an M-matrix, for which the method
// settles after few rounds; from the sets of a similar problem it takes one to three, each a straight pass forward and
// one back, which lanes run in step.
#pragma once

#include "tv1d.h"

namespace nsz {

template <class L, bool kEdges>
struct ActiveSet {
  using T = typename L::T_;
  using V = typename L::V;
  using M = typename L::M;
  const T* x;
  T* y;
  int N, stride;
  Weights<L, kEdges> w;
  M *up, *down;  // of each edge; the last of the N entries stands for no edge and stays empty
  T rounding;    // of a sample: how far off u may be, a sample
  V sum, length, level, first, u, far;
  M fresh, changed;

  HOST_DEVICE ActiveSet(const T* x_, T* y_, int N_, int stride_, const Weights<L, kEdges>& w_, M* sets, T peak)
      : x(x_), y(y_), N(N_), stride(stride_), w(w_), up(sets), down(sets + N_),
        rounding(peak * std::numeric_limits<T>::epsilon()), changed(L::all()) {}

  // The guess of a solution y: where it steps.
  HOST_DEVICE void read_sets() {
    V here = L::load(y);
    for (int n = 0; n + 1 < N; ++n) {
      const V next = L::load(y + (n + 1) * stride);
      up[n] = L::less(here, next);
      down[n] = L::less(next, here);
      here = next;
    }
    up[N - 1] = down[N - 1] = L::no(L::all());
  }

  // Samples from the first to the last: y gets the level of each piece at the sample where it ends.
  HOST_DEVICE void begin_forward() {
    sum = length = level = first = L::fill(0);  // sum: of what the samples differ from the first one of their piece
    fresh = L::all();
  }
  HOST_DEVICE void forward(int n) {
    const V xn = L::load(x + n * stride), wn = w.along(n * stride, n + 1 < N);
    const V dual = L::select(up[n], wn, L::select(down[n], -wn, L::fill(0)));
    first = L::select(fresh, xn, first);
    length = L::select(fresh, L::fill(0), length) + L::fill(1);
    sum = sum + (xn - first);
    L::store(y + n * stride, first + (sum + dual) / length);
    fresh = M(up[n] | down[n]);
    sum = L::select(fresh, -dual, sum);
  }

  // And back: y gets the level of each piece at all its samples, and the sets are revised.
  HOST_DEVICE void begin_backward() {
    level = L::load(y + (N - 1) * stride);
    u = L::load(x + (N - 1) * stride) - level;
    far = L::fill(rounding);
    changed = L::no(L::all());
  }
  HOST_DEVICE void backward(int n) {
    const V wn = w.along(n * stride, true), most = wn + (far + wn * (4 * std::numeric_limits<T>::epsilon()));
    const M was_up = up[n], was_down = down[n], knot = M(was_up | was_down), within = L::no(knot);
    const V yn = L::select(knot, L::load(y + n * stride), level);
    const M is_up = M((was_up & L::less(yn, level)) | (within & L::less(most, u)));
    const M is_down = M((was_down & L::less(level, yn)) | (within & L::less(u, -most)));
    changed = M(changed | (is_up ^ was_up) | (is_down ^ was_down));
    up[n] = is_up;
    down[n] = is_down;
    u = L::select(was_up, wn, L::select(was_down, -wn, u)) + (L::load(x + n * stride) - yn);
    far = L::select(knot, L::fill(0), far) + L::fill(rounding);
    L::store(y + n * stride, yn);
    level = yn;
  }
};

// Both blocks of lanes at once, as in tv1d_direct_two; b null: one. True: y is the solution.
template <class L, bool kEdges>
HOST_DEVICE bool tv1d_active_set(ActiveSet<L, kEdges>& a, ActiveSet<L, kEdges>* b, int rounds) {
  for (int round = 0; round < rounds; ++round) {
    a.begin_forward();
    if (b) {
      b->begin_forward();
      for (int n = 0; n < a.N; ++n) a.forward(n), b->forward(n);
      a.begin_backward();
      b->begin_backward();
      for (int n = a.N - 2; n >= 0; --n) a.backward(n), b->backward(n);
      if (!L::any(typename L::M(a.changed | b->changed))) return true;
    } else {
      for (int n = 0; n < a.N; ++n) a.forward(n);
      a.begin_backward();
      for (int n = a.N - 2; n >= 0; --n) a.backward(n);
      if (!L::any(a.changed)) return true;
    }
  }
  return false;
}

}  // namespace nsz
