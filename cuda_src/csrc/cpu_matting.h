// CPU side of the matting operators, what they share: rows in blocks over threads, and the product with L row by row.
#pragma once

#include "cpu_lines.h"
#include "matting.h"

namespace nsz {

// Rows go to threads in blocks of this many, whatever the number of threads: sums are taken block by block.
constexpr int64_t kRows = 16;

// f(block, first row, last row), on all threads or here.
template <class F>
void over_blocks(bool threads, int64_t H, const F& f) {
  spread(threads, (H + kRows - 1) / kRows, 1, [&](int64_t a, int64_t b) {
    for (int64_t k = a; k < b; ++k) f(k, k * kRows, std::min(H, (k + 1) * kRows));
  });
}

// Many images: one a thread; few: all threads on each. f(image, threads)
template <class F>
void over_images(int64_t B, const F& f) {
  const bool many = B >= int64_t(torch::stable::get_num_threads());
  spread(many, B, 1, [&](int64_t a, int64_t b) {
    for (int64_t i = a; i < b; ++i) f(i, !many);
  });
}

// One row's share (A below) of L y in a whole row of C channels, but for pixels at its end that fill no vector.
template <typename T, int C, int A>
void add_row(const T* bands, int64_t n, int64_t W, int64_t at, const T* const* rows, T* const* out) {
  using L = CpuLanes<T>;
  for (int64_t j = 0; j + L::W <= W; j += L::W) {
    typename L::V sum[C];
    for (int c = 0; c < C; ++c) sum[c] = A == 0 ? L::fill(0) : L::load(out[c] + j);
    matting_taps<L, C, A>(bands, n, W, at + j, [&](int c, int b) { return L::load(rows[c] + j + b); }, sum);
    for (int c = 0; c < C; ++c) L::store(out[c] + j, sum[c]);
  }
}

// All rows' shares at the pixels from column j on.
template <class L, int C, class Rows>
void add_rows(const typename L::T_* bands, int64_t n, int64_t W, int64_t at, int64_t j, const Rows& rows,
              typename L::T_* const* out) {
  typename L::V sum[C];
  for (int c = 0; c < C; ++c) sum[c] = L::fill(0);
  const auto add = [&](auto below) {
    constexpr int A = decltype(below)::value;
    matting_taps<L, C, A>(bands, n, W, at + j, [&](int c, int b) { return L::load(rows(A)[c] + j + b); }, sum);
  };
  add(std::integral_constant<int, 0>{});
  add(std::integral_constant<int, -2>{});
  add(std::integral_constant<int, -1>{});
  add(std::integral_constant<int, 1>{});
  add(std::integral_constant<int, 2>{});
  for (int c = 0; c < C; ++c) L::store(out[c] + j, sum[c]);
}

// L y over the rows [first, last) of C channels. fetch(row, c, to) writes a row of y, which may be computed on the way;
// use(lanes, index, fresh, y, product) takes the result at the pixels from `index` on: y and product are arrays of C
// vectors, and lanes that are not `fresh` were there before.
template <typename T, int C, class Fetch, class Use>
void product_rows(const T* bands, int64_t H, int64_t W, int64_t first, int64_t last, const Fetch& fetch,
                  const Use& use) {
  using L = CpuLanes<T>;
  using One = OneLane<T>;
  constexpr int side = L::W;
  const int64_t n = H * W, stride = (W + L::W - 1) / L::W * L::W + 2 * side;
  // five rows of each channel with zeros to both sides, a row of zeros, a row of each channel's product
  static thread_local std::vector<T> memory;
  memory.assign((6 * C + 1) * stride + 64 / sizeof(T), T(0));
  T* ring = memory.data() + side;
  while (reinterpret_cast<uintptr_t>(ring) % 64) ++ring;  // vectors that cross a cache line take twice as long
  const T* zeros = ring + 5 * C * stride;
  T* product[C];
  for (int c = 0; c < C; ++c) product[c] = ring + (5 * C + 1 + c) * stride;
  const auto place = [&](int64_t row, int c) { return ring + ((row + 5) % 5 * C + c) * stride; };
  const auto bring = [&](int64_t row) {
    if (row >= 0 && row < H)
      for (int c = 0; c < C; ++c) fetch(row, c, place(row, c));
  };
  for (int64_t row = first - 2; row < first + 2; ++row) bring(row);
  for (int64_t row = first; row < last; ++row) {
    bring(row + 2);
    const T* near[5][C];
    for (int a = -2; a <= 2; ++a)
      for (int c = 0; c < C; ++c) near[a + 2][c] = row + a < 0 || row + a >= H ? zeros : place(row + a, c);
    const auto rows = [&](int a) { return near[a + 2]; };
    add_row<T, C, 0>(bands, n, W, row * W, rows(0), product);
    add_row<T, C, -2>(bands, n, W, row * W, rows(-2), product);
    add_row<T, C, -1>(bands, n, W, row * W, rows(-1), product);
    add_row<T, C, 1>(bands, n, W, row * W, rows(1), product);
    add_row<T, C, 2>(bands, n, W, row * W, rows(2), product);
    const auto at = [&](auto lanes, int64_t j, auto fresh) {
      using K = decltype(lanes);
      typename K::V y[C], sum[C];
      for (int c = 0; c < C; ++c) y[c] = K::load(rows(0)[c] + j), sum[c] = K::load(product[c] + j);
      use(lanes, row * W + j, fresh, y, sum);
    };
    int64_t j = 0;
    for (; j + L::W <= W; j += L::W) at(L{}, j, L::all());
    if (j == W) continue;
    if (W >= L::W) {
      add_rows<L, C>(bands, n, W, row * W, W - L::W, rows, product);
      at(L{}, W - L::W, L::no(L::less(L::numbers(), L::index(int(j - (W - L::W))))));
    } else {
      for (; j < W; ++j) {
        add_rows<One, C>(bands, n, W, row * W, j, rows, product);
        at(One{}, j, true);
      }
    }
  }
}

template <typename T>
auto rows_of(const T* y, int64_t n, int64_t W) {
  return [=](int64_t row, int c, T* to) { std::copy_n(y + c * n + row * W, W, to); };
}

// f(first channel, how many as a constant) over the channels, three at a time where there are as many: they share what
// is read of the bands.
template <class F>
void over_channels(int64_t channels, const F& f) {
  int64_t c = 0;
  for (; c + 3 <= channels; c += 3) f(c, std::integral_constant<int, 3>{});
  for (; c < channels; ++c) f(c, std::integral_constant<int, 1>{});
}

// f(zero of the type) where there is a Laplacian at all
template <class F>
void with_type(const Tensor& y, const F& f) {
  if (y.size(2) < 3 || y.size(3) < 3) return;
  if (y.scalar_type() == ScalarType::Double) f(0.0);
  else f(0.0f);
}

// f(bands of an image, offset of its first channel, how many channels, threads)
template <typename T, class F>
void over_systems(const Tensor& bands, const Tensor& y, const F& f) {
  const int64_t C = y.size(1), n = y.size(2) * y.size(3), step = bands.size(0) > 1 ? kBands * n : 0;
  const T* from = bands.const_data_ptr<T>();
  over_images(y.size(0), [&](int64_t i, bool threads) {
    over_channels(C, [&](int64_t c, auto count) { f(i, from + i * step, (i * C + c) * n, count, threads); });
  });
}

}  // namespace nsz
