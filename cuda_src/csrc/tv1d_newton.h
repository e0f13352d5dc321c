// Projected Newton on the dual of the 1-D total variation prox (Yeh et al. 2022, section 3.2, eq. 6 and 7):
//   min_u  1/2 ||D^T u||^2 - u^T D x   s.t. |u_n| <= w_n,   y = x - D^T u
// The Hessian D D^T is tridiagonal (2 on the diagonal, -1 beside it), so a Newton step on the free variables is one
// Cholesky factorisation and two substitutions, O(N).
#pragma once

#include "tv1d.h"

namespace nsz {

// What is nearly at a bound is at it: as a free variable that its step pushes out it would spoil the step of the others.
HOST_DEVICE double clip(double v, double w) {
  const double near = w * (1 - 1e-14);
  return v <= -near ? -w : (v >= near ? w : v);
}

// y = x - D^T u, and the value of the dual objective up to a constant: 1/2 ||y - x_0||^2 - 1/2 ||x - x_0||^2, which has
// digits for small u, and the changes v of y, which add up to 0, do not see x_0
template <typename T>
HOST_DEVICE double tv1d_primal_of_dual(const T* x, const double* u, double* y, int N, int stride) {
  const double first = double(x[0]);
  double value = 0, before = 0;
  for (int n = 0; n < N; ++n) {
    const double after = n < N - 1 ? u[n] : 0.0, v = after - before, here = double(x[n * stride]);
    y[n] = here + v;
    value += v * (here - first + v / 2);
    before = after;
  }
  return value;
}

// Solves (D D^T)_F d_F = g_F, where F are the edges with held == 0; d is 0 on the others. `c` holds the
// off-diagonal of the Cholesky-like factor (L D L^T) of the current run of free edges.
HOST_DEVICE void tv1d_newton_direction(const double* g, const double* held, double* d, double* c, int E) {
  double pivot = 0;
  for (int n = 0; n < E; ++n) {
    if (held[n] != 0) {
      d[n] = 0;
      continue;
    }
    const bool linked = n > 0 && held[n - 1] == 0;
    const double ratio = linked ? -1 / pivot : 0.0;
    pivot = 2 + ratio;  // 2 - 1/pivot of the edge before
    c[n] = 1 / pivot;
    d[n] = g[n] - (linked ? ratio * d[n - 1] : 0.0);
  }
  for (int n = E - 1; n >= 0; --n) {
    if (held[n] != 0) continue;
    const bool linked = n + 1 < E && held[n + 1] == 0;
    d[n] = (d[n] + (linked ? d[n + 1] : 0.0)) * c[n];
  }
}

// One row; `work` holds 7N values. Computes in double, whatever T: rounding in the active set would cost far more than
// the digits of a level. Stops at a duality gap of 1e-14 of the primal objective; levels are then recomputed as segment
// means, so that they are as exact as those of the direct method.
template <typename T, bool kEdges>
HOST_DEVICE void tv1d_newton(const T* x, T* y, int N, int stride, const Weights<OneLane<T>, kEdges>& w, double* work) {
  const int E = N - 1;
  double *u = work, *g = work + N, *d = work + 2 * N, *c = work + 3 * N, *trial = work + 4 * N, *held = work + 5 * N;
  double* z = work + 6 * N;  // y while it is being sought
  for (int n = 0; n < E; ++n) {  // start: the unconstrained dual, clipped
    g[n] = double(x[(n + 1) * stride]) - double(x[n * stride]);
    held[n] = 0;
  }
  tv1d_newton_direction(g, held, u, c, E);
  for (int n = 0; n < E; ++n) u[n] = clip(u[n], w.of_edge(n, N));
  double objective = tv1d_primal_of_dual(x, u, z, N, stride);

  for (int iteration = 0; iteration < 10 * N + 50; ++iteration) {
    double gap = 0, primal = 0, free_slope = 0;
    for (int n = 0; n < N; ++n) {
      const double r = z[n] - double(x[n * stride]);
      primal += r * r / 2;
    }
    for (int n = 0; n < E; ++n) {
      const double wn = w.of_edge(n, N), step = z[n + 1] - z[n];
      g[n] = -step;
      held[n] = (u[n] >= wn && step >= 0) || (u[n] <= -wn && step <= 0);
      const double rise = wn * (step < 0 ? -step : step);
      gap += rise - u[n] * step;
      primal += rise;
    }
    if (gap <= 1e-14 * primal) break;

    tv1d_newton_direction(g, held, d, c, E);
    for (int n = 0; n < E; ++n) free_slope += g[n] * d[n];
    double t = 1;
    double next = objective;
    for (int halving = 0; halving < 40; ++halving) {
      for (int n = 0; n < E; ++n) trial[n] = clip(u[n] - t * d[n], w.of_edge(n, N));
      next = tv1d_primal_of_dual(x, trial, z, N, stride);
      double decrease = 0;  // what the gradient promises for the projected step
      for (int n = 0; n < E; ++n) decrease += g[n] * (u[n] - trial[n]);
      if (next <= objective - 1e-4 * decrease) break;
      // quadratic interpolation of the objective along the step, kept within [t/10, t/2]
      const double curve = next - objective + t * free_slope;
      const double best = curve > 0 ? t * t * free_slope / (2 * curve) : t / 2;
      t = best < t / 10 ? t / 10 : (best > t / 2 ? t / 2 : best);
    }
    if (!(next < objective)) {  // rounding level: no step improves
      tv1d_primal_of_dual(x, u, z, N, stride);
      break;
    }
    for (int n = 0; n < E; ++n) u[n] = trial[n];
    objective = next;
  }

  int start = 0;
  double sum = 0, left = 0;
  for (int n = 0; n < N; ++n) {
    sum += x[n * stride];
    const double wn = w.of_edge(n, N);
    const double step = n < E ? z[n + 1] - z[n] : 0.0;
    // u is off the bound or y steps, not both; at the bound, and where y hardly steps, one of them is rounding
    const double slack = wn - (step < 0 ? -u[n] : u[n]);
    const bool ends = n == E || (step != 0 && slack <= (step < 0 ? -step : step));
    if (!ends) continue;
    const double right = n == E ? 0.0 : (step < 0 ? -wn : wn);
    const double level = (sum + right - left) / double(n + 1 - start);
    for (; start <= n; ++start) y[start * stride] = T(level);
    sum = 0;
    left = right;
  }
}

}  // namespace nsz
