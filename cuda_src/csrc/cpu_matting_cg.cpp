// CPU: matting_cg. Schemas are in cuda_src/ops.py.
#include "cpu_matting.h"

#include <array>

namespace nsz {

// One system of C channels, from X_0 = y on. Two passes an iteration: the new direction and its product, then the step.
template <typename T, int C>
struct ConjugateGradient {
  using L = CpuLanes<T>;
  using Sums = std::array<double, C>;
  const T *bands, *y;
  T* x;
  int64_t H, W;
  T twice;
  bool threads;
  int64_t n = H * W;
  std::vector<T> r = std::vector<T>(C * n), p = r, ahead = r, q = r;  // ahead: where the next p goes
  std::vector<Sums> sums = std::vector<Sums>((H + kRows - 1) / kRows);

  Sums total() const {
    Sums all{};
    for (const Sums& s : sums)
      for (int c = 0; c < C; ++c) all[c] += s[c];
    return all;
  }

  // sums over a product: value(lanes, channel, index, fresh, y, product)
  template <class Fetch, class Value>
  Sums product(const Fetch& fetch, const Value& value) {
    over_blocks(threads, H, [&](int64_t k, int64_t first, int64_t last) {
      typename L::V parts[C];
      T rest[C] = {};
      for (int c = 0; c < C; ++c) parts[c] = L::fill(0);
      product_rows<T, C>(bands, H, W, first, last, fetch,
                         [&](auto lanes, int64_t i, auto fresh, const auto* here, const auto* there) {
                           using K = decltype(lanes);
                           for (int c = 0; c < C; ++c) {
                             const auto v = K::select(fresh, value(lanes, c * n + i, here[c], there[c]), K::fill(0));
                             if constexpr (std::is_same_v<K, L>) parts[c] = parts[c] + v;
                             else rest[c] += v;
                           }
                         });
      for (int c = 0; c < C; ++c) sums[k][c] = L::total(parts[c]) + rest[c];
    });
    return total();
  }

  // r = y - A x; its squared length
  Sums residual() {
    return product(rows_of<T>(x, n, W), [&](auto lanes, int64_t o, auto here, auto there) {
      using K = decltype(lanes);
      const auto v = K::load(y + o) - here - there * twice;
      K::store(r.data() + o, v);
      return v * v;
    });
  }

  // p = r + beta p, q = A p; p.q
  Sums direction(const CgSystem* s) {
    const auto fetch = [&](int64_t row, int c, T* to) {
      const T beta = T(s[c].beta);
      const T *pr = r.data() + c * n + row * W, *pp = p.data() + c * n + row * W;
      int64_t j = 0;
      for (; j + L::W <= W; j += L::W) L::store(to + j, L::load(pr + j) + L::load(pp + j) * beta);
      for (; j < W; ++j) to[j] = pr[j] + pp[j] * beta;
    };
    const Sums curvature = product(fetch, [&](auto lanes, int64_t o, auto here, auto there) {
      using K = decltype(lanes);
      const auto v = here + there * twice;
      K::store(ahead.data() + o, here);
      K::store(q.data() + o, v);
      return here * v;
    });
    std::swap(p, ahead);
    return curvature;
  }

  // x += alpha p, r -= alpha q; r.r
  Sums step(const CgSystem* s) {
    over_blocks(threads, H, [&](int64_t k, int64_t first, int64_t last) {
      Sums sum{};
      for (int c = 0; c < C; ++c) {
        const T alpha = T(s[c].alpha);
        for (int64_t row = first; row < last; ++row) {
          const int64_t end = c * n + (row + 1) * W;
          int64_t o = end - W;
          const auto one = [&](auto lanes) {
            using K = decltype(lanes);
            const auto v = K::load(r.data() + o) - K::load(q.data() + o) * alpha;
            K::store(x + o, K::load(x + o) + K::load(p.data() + o) * alpha);
            K::store(r.data() + o, v);
            return v * v;
          };
          typename L::V part = L::fill(0);
          for (; o + L::W <= end; o += L::W) part = part + one(L{});
          sum[c] += L::total(part);
          for (; o < end; ++o) sum[c] += one(OneLane<T>{});
        }
      }
      sums[k] = sum;
    });
    return total();
  }

  // Returns the iterations; `relative`: the largest relative residual of a channel, as it is and not as it was updated.
  int64_t solve(int64_t max_iter, double tol, double& relative) {
    Sums yy{};
    for (int c = 0; c < C; ++c)
      for (int64_t i = 0; i < n; ++i) yy[c] += double(y[c * n + i]) * double(y[c * n + i]);
    CgSystem s[C];
    Sums rr = residual();
    for (int c = 0; c < C; ++c) s[c].start(rr[c], yy[c], tol);
    const auto done = [&] { return std::all_of(s, s + C, [](const CgSystem& one) { return one.done(); }); };
    int64_t k = 0;
    for (; k < max_iter && !done(); ++k) {
      const Sums curvature = direction(s);
      for (int c = 0; c < C; ++c) s[c].along(curvature[c]);
      rr = step(s);
      for (int c = 0; c < C; ++c) s[c].arrived(rr[c]);
    }
    if (k > 0) rr = residual();
    for (int c = 0; c < C; ++c)
      if (yy[c] > 0) relative = std::max(relative, std::sqrt(rr[c] / yy[c]));
    return k;
  }
};

std::tuple<Tensor, Tensor, Tensor> matting_cg_cpu(Tensor bands, Tensor y, double lam, int64_t max_iter, double tol) {
  bands = torch::stable::contiguous(bands);
  y = torch::stable::contiguous(y);
  Tensor x = torch::stable::clone(y);
  Tensor residual = torch::stable::new_zeros(y, {y.size(0)}, ScalarType::Double);
  Tensor iterations = torch::stable::new_zeros(y, {y.size(0)}, ScalarType::Long);
  double* worst = residual.mutable_data_ptr<double>();
  int64_t* most = iterations.mutable_data_ptr<int64_t>();
  const int64_t H = y.size(2), W = y.size(3);
  with_type(y, [&](auto zero) {
    using T = decltype(zero);
    const T* py = y.const_data_ptr<T>();
    T* px = x.mutable_data_ptr<T>();
    over_systems<T>(bands, y, [&](int64_t i, const T* b, int64_t o, auto count, bool threads) {
      ConjugateGradient<T, decltype(count)::value> system{b, py + o, px + o, H, W, T(2 * lam), threads};
      most[i] = std::max(most[i], system.solve(max_iter, tol, worst[i]));
    });
  });
  return {x, residual, iterations};
}

}  // namespace nsz

STABLE_TORCH_LIBRARY_IMPL(nsz, CPU, m) { m.impl("matting_cg", TORCH_BOX(&nsz::matting_cg_cpu)); }
