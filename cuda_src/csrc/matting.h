// Matting Laplacian (Levin, Lischinski & Weiss 2008), on the host and on the device; W adjacent pixels of a row at a
// time (lanes.h, stride 1). L is symmetric and couples a pixel with the 5 x 5 around it: 13 bands (B, 13, H, W) hold
// the half that looks forward. Band k at pixel (i, j) is the entry between (i, j) and
// (i + band_down(k), j + band_right(k)), 0 where that lies outside the image. Images have at least 3 x 3 pixels here.
#pragma once

#include "lanes.h"

#ifdef __CUDACC__
#define NSZ_UNROLL _Pragma("unroll")
#else
#define NSZ_UNROLL _Pragma("GCC unroll 16")
#endif

namespace nsz {

constexpr int kBands = 13;
HOST_DEVICE constexpr int band_down(int k) { return (k + 2) / 5; }
HOST_DEVICE constexpr int band_right(int k) { return (k + 2) % 5 - 2; }

// A 3 x 3 window: the mean colour (3), the inverse of its covariance + eps / 9 (6: 00 01 02 11 12 22), and 1 or 0:
// whether the window lies inside the image.
constexpr int kWindow = 10;

// pixel(c, a, b): colour c of the pixel a rows below and b columns right of the centre. Colours of smooth regions
// differ by less than a float tells apart once squared: this is for double lanes.
template <class L, class Pixel>
HOST_DEVICE void matting_window(const Pixel& pixel, double eps, typename L::V* out) {
  using V = typename L::V;
  V mean[3], s[6];
  for (int c = 0; c < 3; ++c) {
    V sum = L::fill(0);
    NSZ_UNROLL
    for (int q = 0; q < 9; ++q) sum = sum + pixel(c, q / 3 - 1, q % 3 - 1);
    mean[c] = sum * (1.0 / 9);
  }
  for (int e = 0; e < 6; ++e) s[e] = L::fill(0);
  NSZ_UNROLL
  for (int q = 0; q < 9; ++q) {
    V v[3];
    for (int c = 0; c < 3; ++c) v[c] = pixel(c, q / 3 - 1, q % 3 - 1) - mean[c];
    s[0] = s[0] + v[0] * v[0], s[1] = s[1] + v[0] * v[1], s[2] = s[2] + v[0] * v[2];
    s[3] = s[3] + v[1] * v[1], s[4] = s[4] + v[1] * v[2], s[5] = s[5] + v[2] * v[2];
  }
  for (int e = 0; e < 6; ++e) s[e] = s[e] * (1.0 / 9);
  s[0] = s[0] + eps / 9, s[3] = s[3] + eps / 9, s[5] = s[5] + eps / 9;
  // s = G diag(d) G^T with a unit lower triangle G, H = G^-1: the inverse is H^T diag(1/d) H
  const V d0 = 1.0 / s[0], g10 = s[1] * d0, g20 = s[2] * d0;
  const V d1 = 1.0 / (s[3] - g10 * s[1]), m = s[4] - g10 * s[2], g21 = m * d1;
  const V d2 = 1.0 / (s[5] - g20 * s[2] - g21 * m), h20 = g21 * g10 - g20;
  for (int c = 0; c < 3; ++c) out[c] = mean[c];
  out[3] = d0 + g10 * g10 * d1 + h20 * h20 * d2;
  out[4] = -g10 * d1 - h20 * g21 * d2;
  out[5] = h20 * d2;
  out[6] = d1 + g21 * g21 * d2;
  out[7] = -g21 * d2;
  out[8] = d2;
}

// The bands at a pixel: each window around it gives delta_pq - (1 + (I_p - mean) S^-1 (I_q - mean)) / 9 to the pairs
// that it holds. window(e, a, b): what `matting_window` found around the pixel at (a, b), if has(a, b); pixel as above.
template <class L, class Has, class Window, class Pixel>
HOST_DEVICE void matting_pixel(const Has& has, const Window& window, const Pixel& pixel, typename L::V* bands) {
  using V = typename L::V;
  for (int k = 0; k < kBands; ++k) bands[k] = L::fill(0);
  NSZ_UNROLL
  for (int w = 0; w < 9; ++w) {
    const int a = w / 3 - 1, b = w % 3 - 1;
    if (!has(a, b)) continue;
    V mean[3], v[3], inverse[6];
    for (int c = 0; c < 3; ++c) mean[c] = window(c, a, b), v[c] = pixel(c, 0, 0) - mean[c];
    for (int e = 0; e < 6; ++e) inverse[e] = window(3 + e, a, b);
    const V inside = window(9, a, b), share = inside * (1.0 / 9);
    const V s0 = share * (inverse[0] * v[0] + inverse[1] * v[1] + inverse[2] * v[2]);
    const V s1 = share * (inverse[1] * v[0] + inverse[3] * v[1] + inverse[4] * v[2]);
    const V s2 = share * (inverse[2] * v[0] + inverse[4] * v[1] + inverse[5] * v[2]);
    const V base = share - s0 * mean[0] - s1 * mean[1] - s2 * mean[2];
    bands[0] = bands[0] + inside;
    NSZ_UNROLL
    for (int k = 0; k < kBands; ++k) {
      const int down = band_down(k), right = band_right(k);
      if (down - a > 1 || right - b > 1 || right - b < -1) continue;  // not in this window
      const auto q = [&](int c) { return pixel(c, down, right); };
      bands[k] = bands[k] - (base + s0 * q(0) + s1 * q(1) + s2 * q(2));
    }
  }
}

// Adds to `out` what the row that lies A below (-2 .. 2) gives to L y at the pixels from index `at` on, for C channels.
// y(c, b): that row, b columns to the right of them; 0 outside the image. A band is read from where its pair begins,
// which may be before the plane of the band: what is found there meets a 0. One row at a time is what registers hold.
template <class L, int C, int A, class Y>
HOST_DEVICE void matting_taps(const typename L::T_* bands, int64_t n, int64_t width, int64_t at, const Y& y,
                              typename L::V* out) {
  NSZ_UNROLL
  for (int b = -2; b <= 2; ++b) {
    const bool ahead = A > 0 || (A == 0 && b >= 0);
    const int k = ahead ? 5 * A + b : -5 * A - b;
    const auto band = L::load(bands + k * n + at + (ahead ? 0 : A * width + b));
    NSZ_UNROLL
    for (int c = 0; c < C; ++c) out[c] = out[c] + band * y(c, b);
  }
}

// (I + 2 lam L) x = y by Chebyshev's semi-iteration (Golub & Varga 1961) on the spectrum [1, 1 + 2 lam spectrum]:
//   X_{k+1} = X_k + step (y - X_k - 2 lam L X_k) + momentum (X_k - X_{k-1}),  X_0 = y
struct ChebyshevSteps {
  double centre, half, rho = 0, step = 0, momentum = 0;
  HOST_DEVICE ChebyshevSteps(double lam, double spectrum) : centre(1 + lam * spectrum), half(lam * spectrum) {}
  HOST_DEVICE void next() {
    if (rho == 0) {
      rho = half / centre;
      step = 1 / centre;
      return;
    }
    const double after = 1 / (2 * centre / half - rho);
    step = 2 * after / half;
    momentum = after * rho;
    rho = after;
  }
};

template <class L>
HOST_DEVICE typename L::V chebyshev_step(typename L::V x, typename L::V before, typename L::V y, typename L::V product,
                                         typename L::T_ twice, typename L::T_ step, typename L::T_ momentum) {
  return x + (y - x - product * twice) * step + (x - before) * momentum;
}

// Conjugate gradients: the numbers of one channel's system. Sums are over its pixels.
struct CgSystem {
  double goal = 0;        // the squared residual to be reached
  double residual = 0;    // r.r
  double alpha = 0, beta = 0;
  HOST_DEVICE bool done() const { return residual <= goal; }
  HOST_DEVICE void start(double rr, double yy, double tol) { residual = rr, goal = tol * tol * yy; }
  HOST_DEVICE void along(double curvature) { alpha = curvature > 0 ? residual / curvature : 0; }
  HOST_DEVICE void arrived(double rr) {
    beta = residual > 0 ? rr / residual : 0;
    residual = rr;
  }
};

}  // namespace nsz
