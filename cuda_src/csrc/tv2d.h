// 2-D total variation, on the host and on the device; W adjacent pixels of a row at a time (lanes.h, stride 1).
//   argmin_y  1/2 ||y - x||^2 + TV(y),   D: forward differences, none across the border
// A dual pair (p, q) belongs to the edges to the right and down; p = 0 in the last column, q = 0 in the last row.
#pragma once

#include "lanes.h"

namespace nsz {

// The sums that an image's stop test needs, for one row.
struct RowSums {
  double fidelity = 0;  // 1/2 ||y - x||^2
  double tv = 0;        // weighted total variation of the edges to the right and down
  double slope = 0;     // <x - y, y - c>: with y = x - D^T(p, q) it is <(p, q), D y>, whatever c
};

template <typename T>
struct Image {  // where a row's pixels, neighbours and weights lie
  const T* x;
  const T* y;
  const T* right;  // weights of the edges to the right (W - 1), or null
  const T* below;  // weights of the edges down (W), or null
  T lam_right, lam_below;
  int width;
  bool last;       // there is no row below
  T c;             // about the mean of x: keeps the digits of `slope`
  T still;         // differences up to this are rounding and count as none: a large lam would make much of them
};

// `still` for an image whose largest magnitude is `peak`.
template <typename T>
HOST_DEVICE T rounding_of(T peak) {
  return 8 * std::numeric_limits<T>::epsilon() * peak;
}

template <class L>
HOST_DEVICE typename L::V without_rounding(typename L::V d, typename L::T_ still) {
  return L::select(L::less(L::fill(still), L::magnitude(d)), d, L::fill(0));
}

// The pixels of the mask `counted` from column j on; those of `inner` have a neighbour to the right.
template <class L, bool kIsotropic>
HOST_DEVICE void tv2d_sums(const Image<typename L::T_>& im, int j, typename L::M counted, typename L::M inner,
                           typename L::V& fidelity, typename L::V& tv, typename L::V& slope) {
  using T = typename L::T_;
  using V = typename L::V;
  const V zero = L::fill(0);
  const bool reaches = L::any(inner);  // else there is nothing to read
  const V y = L::load(im.y + j), r = L::select(counted, y - L::load(im.x + j), zero);
  const V right = reaches ? L::load(im.y + j + 1) - y : zero, below = im.last ? zero : L::load(im.y + im.width + j) - y;
  const V dx = L::select(inner, without_rounding<L>(right, im.still), zero);
  const V dy = L::select(counted, without_rounding<L>(below, im.still), zero);
  fidelity = fidelity + r * r * T(0.5);
  slope = slope - r * (y - L::fill(im.c));
  if constexpr (kIsotropic) {
    tv = tv + im.lam_right * L::root(dx * dx + dy * dy);
  } else {
    const V wr = im.right && reaches ? L::load(im.right + j) : L::fill(im.lam_right);
    const V wb = im.below && !im.last ? L::load(im.below + j) : L::fill(im.lam_below);
    tv = tv + L::select(inner, wr, zero) * L::magnitude(dx) + L::select(counted, wb, zero) * L::magnitude(dy);
  }
}

// One row of the sums; CUDA calls it a thread a row.
template <class L, bool kIsotropic>
HOST_DEVICE RowSums tv2d_row_sums(const Image<typename L::T_>& im) {
  using T = typename L::T_;
  using One = OneLane<T>;
  constexpr int W = L::W;
  typename L::V fidelity = L::fill(0), tv = fidelity, slope = fidelity;
  int j = 0;
  for (; j + W < im.width; j += W) tv2d_sums<L, kIsotropic>(im, j, L::all(), L::all(), fidelity, tv, slope);
  if (!im.last && im.width >= W) {  // the last W once more, without those that are counted; it reads into the row below
    const int start = im.width - W;
    const auto counted = L::no(L::less(L::numbers(), L::index(j - start)));
    const auto inner = typename L::M(counted & L::less(L::numbers(), L::index(W - 1)));
    tv2d_sums<L, kIsotropic>(im, start, counted, inner, fidelity, tv, slope);
    j = im.width;
  }
  T f1 = 0, t1 = 0, s1 = 0;
  for (; j < im.width; ++j) tv2d_sums<One, kIsotropic>(im, j, true, j + 1 < im.width, f1, t1, s1);
  return {L::total(fidelity) + f1, L::total(tv) + t1, L::total(slope) + s1};
}

// y = x - D^T (p, q) = x + p_ij - p_i,j-1 + q_ij - q_i-1,j
template <class L>
HOST_DEVICE void tv2d_primal(const typename L::T_* x, const typename L::T_* p, const typename L::T_* q,
                             typename L::T_* y, int j, int width, bool first_row) {
  auto v = L::load(x + j) + L::load(p + j) + L::load(q + j);
  if (j > 0) v = v - L::load(p + j - 1);
  if (!first_row) v = v - L::load(q + j - width);
  L::store(y + j, v);
}

// One step of the fast projected gradient on the dual (Beck & Teboulle 2009): from the extrapolated pair (pe, qe), with
// y its primal, step 1/8 = 1/||D||^2, projection onto |(p, q)| <= lam, extrapolation.
template <class L>
HOST_DEVICE void tv2d_dual_step(const typename L::T_* y, typename L::T_* p, typename L::T_* q, typename L::T_* pe,
                                typename L::T_* qe, int j, int width, bool has_right, bool last_row,
                                typename L::T_ lam, typename L::T_ momentum) {
  using T = typename L::T_;
  using V = typename L::V;
  const V here = L::load(y + j), zero = L::fill(0);
  V pn = has_right ? L::load(pe + j) + (L::load(y + j + 1) - here) * T(0.125) : zero;
  V qn = last_row ? zero : L::load(qe + j) + (L::load(y + j + width) - here) * T(0.125);
  const V length = L::root(pn * pn + qn * qn);
  const V scale = L::select(L::less(L::fill(lam), length), lam / length, L::fill(1));
  pn = pn * scale;
  qn = qn * scale;
  L::store(pe + j, pn + (pn - L::load(p + j)) * momentum);
  L::store(qe + j, qn + (qn - L::load(q + j)) * momentum);
  L::store(p + j, pn);
  L::store(q + j, qn);
}

// The extrapolation of step k = 1, 2, ... since the last restart; 4 instead of Nesterov's 2 settles sooner near the end.
HOST_DEVICE double fgp_momentum(int k) { return (k - 1.0) / (k + 4.0); }

// Momentum of the accelerated Dykstra sweeps (Chambolle, Tan & Vaiter 2017): t_1 = 1, t_{k+1} = (1 + sqrt(1 + 4 t_k^2))/2.
HOST_DEVICE double next_t(double t) { return 0.5 * (1.0 + sqrt(1.0 + 4.0 * t * t)); }

}  // namespace nsz
