// CPU: matting_bands, matting_apply, matting_chebyshev. Schemas are in cuda_src/ops.py.
#include "cpu_matting.h"

namespace nsz {

// ---- matting_bands(image: (B, 3, H, W)) -> (B, 13, H, W) ----

template <typename T>
void bands_of_rows(const T* image, T* bands, int64_t H, int64_t W, int64_t first, int64_t last, double eps) {
  using L = CpuLanes<double>;
  using V = typename L::V;
  const int64_t n = H * W, side = L::W + 2, stride = (W + L::W - 1) / L::W * L::W + 2 * side;
  // a margin of zeros to each side; rows from first - 2 (colours) and first - 1 (windows) on
  std::vector<double> colours(3 * (last - first + 4) * stride), windows(kWindow * (last - first + 2) * stride);
  const auto colour = [&](int c, int64_t row) { return &colours[((row - first + 2) * 3 + c) * stride + side]; };
  const auto window = [&](int e, int64_t row) { return &windows[((row - first + 1) * kWindow + e) * stride + side]; };
  for (int64_t row = std::max<int64_t>(0, first - 2); row < std::min(H, last + 2); ++row)
    for (int c = 0; c < 3; ++c) std::copy_n(image + c * n + row * W, W, colour(c, row));
  for (int64_t row = std::max<int64_t>(1, first - 1); row < std::min(H - 1, last + 1); ++row) {
    for (int64_t j = 0; j < W; j += L::W) {
      V out[kWindow];
      matting_window<L>([&](int c, int a, int b) { return L::load(colour(c, row + a) + j + b); }, eps, out);
      const auto column = L::numbers() + L::index(int(j));
      const auto right = L::select(L::less(column, L::index(int(W - 1))), L::fill(1), L::fill(0));
      out[9] = L::select(L::less(L::index(0), column), right, L::fill(0));
      for (int e = 0; e < kWindow; ++e) L::store(window(e, row) + j, out[e]);
    }
  }
  for (int64_t row = first; row < last; ++row) {
    const auto has = [&](int a, int) { return row + a >= 1 && row + a < H - 1; };
    for (int64_t j = 0; j < W; j += L::W) {
      V out[kBands];
      matting_pixel<L>(
          has, [&](int e, int a, int b) { return L::load(window(e, row + a) + j + b); },
          [&](int c, int a, int b) { return L::load(colour(c, row + a) + j + b); }, out);
      const int64_t live = std::min<int64_t>(L::W, W - j);
      for (int k = 0; k < kBands; ++k) {
        double values[L::W];
        L::store(values, out[k]);
        std::copy_n(values, live, bands + k * n + row * W + j);
      }
    }
  }
}

Tensor matting_bands_cpu(Tensor image, double eps) {
  image = torch::stable::contiguous(image);
  const int64_t B = image.size(0), H = image.size(2), W = image.size(3), n = H * W;
  Tensor bands = torch::stable::new_zeros(image, {B, kBands, H, W});
  if (H < 3 || W < 3) return bands;  // no window fits
  const auto run = [&](auto zero) {
    using T = decltype(zero);
    const T* from = image.const_data_ptr<T>();
    T* to = bands.mutable_data_ptr<T>();
    over_images(B, [&](int64_t i, bool threads) {
      over_blocks(threads, H, [&](int64_t, int64_t first, int64_t last) {
        bands_of_rows<T>(from + i * 3 * n, to + i * kBands * n, H, W, first, last, eps);
      });
    });
  };
  if (image.scalar_type() == ScalarType::Double) run(0.0);
  else run(0.0f);
  return bands;
}

Tensor matting_apply_cpu(Tensor bands, Tensor y) {
  bands = torch::stable::contiguous(bands);
  y = torch::stable::contiguous(y);
  Tensor out = torch::stable::new_zeros(y, {y.size(0), y.size(1), y.size(2), y.size(3)});
  const int64_t H = y.size(2), W = y.size(3), n = H * W;
  with_type(y, [&](auto zero) {
    using T = decltype(zero);
    const T* py = y.const_data_ptr<T>();
    T* po = out.mutable_data_ptr<T>();
    over_systems<T>(bands, y, [&](int64_t, const T* b, int64_t o, auto count, bool threads) {
      constexpr int C = decltype(count)::value;
      over_blocks(threads, H, [&](int64_t, int64_t first, int64_t last) {
        product_rows<T, C>(b, H, W, first, last, rows_of(py + o, n, W),
                           [&](auto lanes, int64_t i, auto, const auto*, const auto* product) {
                             for (int c = 0; c < C; ++c) decltype(lanes)::store(po + o + c * n + i, product[c]);
                           });
      });
    });
  });
  return out;
}

// ---- matting_chebyshev ----

// One system of C channels. Writes X_k into `out` and `other` in turns, the last one into `out`.
template <typename T, int C>
void chebyshev(const T* bands, const T* y, T* out, T* other, int64_t H, int64_t W, double lam, int64_t order,
               double spectrum, bool threads) {
  const int64_t n = H * W;
  const T *x = y, *before = y;
  ChebyshevSteps steps(lam, spectrum);
  for (int64_t k = 1; k <= order; ++k) {
    steps.next();
    const T twice = T(2 * lam), step = T(steps.step), momentum = T(steps.momentum);
    T* next = (order - k) % 2 ? other : out;
    over_blocks(threads, H, [&](int64_t, int64_t first, int64_t last) {
      product_rows<T, C>(bands, H, W, first, last, rows_of(x, n, W),
                         [&](auto lanes, int64_t i, auto fresh, const auto* here, const auto* product) {
                           using K = decltype(lanes);
                           for (int c = 0; c < C; ++c) {
                             const int64_t o = c * n + i;
                             const auto v = chebyshev_step<K>(here[c], K::load(before + o), K::load(y + o), product[c],
                                                              twice, step, momentum);
                             K::store(next + o, K::select(fresh, v, K::load(next + o)));
                           }
                         });
    });
    before = x;
    x = next;
  }
}

Tensor matting_chebyshev_cpu(Tensor bands, Tensor y, double lam, int64_t order, double spectrum) {
  bands = torch::stable::contiguous(bands);
  y = torch::stable::contiguous(y);
  Tensor out = torch::stable::clone(y);
  if (order < 1 || lam == 0) return out;
  const int64_t H = y.size(2), W = y.size(3), n = H * W;
  with_type(y, [&](auto zero) {
    using T = decltype(zero);
    const T* py = y.const_data_ptr<T>();
    T* po = out.mutable_data_ptr<T>();
    over_systems<T>(bands, y, [&](int64_t, const T* b, int64_t o, auto count, bool threads) {
      constexpr int C = decltype(count)::value;
      std::vector<T> other(C * n);
      chebyshev<T, C>(b, py + o, po + o, other.data(), H, W, lam, order, spectrum, threads);
    });
  });
  return out;
}

}  // namespace nsz

STABLE_TORCH_LIBRARY_IMPL(nsz, CPU, m) {
  m.impl("matting_bands", TORCH_BOX(&nsz::matting_bands_cpu));
  m.impl("matting_apply", TORCH_BOX(&nsz::matting_apply_cpu));
  m.impl("matting_chebyshev", TORCH_BOX(&nsz::matting_chebyshev_cpu));
}
