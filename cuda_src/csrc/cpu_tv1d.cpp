// CPU: prox_tv1d and its backward. Schemas are in cuda_src/ops.py.
#include "cpu_lines.h"

namespace nsz {

// ---- prox_tv1d(x: (B, N), weights: (B or 1, 1 or N-1), method) -> y (B, N) ----

template <typename T>
void prox_tv1d_rows(const Tensor& x, const Tensor& w, Tensor& y, Method method) {
  const int64_t B = x.size(0), N = x.size(1), columns = w.size(1);
  const bool per_edge = columns > 1;
  const int64_t row = w.size(0) > 1 ? columns : 0;
  const T* px = x.const_data_ptr<T>();
  const T* pw = w.const_data_ptr<T>();
  T* py = y.mutable_data_ptr<T>();
  const T one = 1;  // per-edge weights are taken as they are
  const Lines<T> f{B, N, N, 1, per_edge ? &one : pw, per_edge ? 0 : row, per_edge ? pw : nullptr, row, 1, false};
  solve_all<T>(
      f, method, true, [px](auto lanes, int64_t o) { return decltype(lanes)::load(px + o); },
      [py](auto lanes, int64_t o, auto v) { decltype(lanes)::store(py + o, v); });
}

Tensor prox_tv1d_cpu(Tensor x, Tensor weights, int64_t method) {
  x = torch::stable::contiguous(x);
  weights = torch::stable::contiguous(weights);
  Tensor y = torch::stable::empty_like(x);
  if (x.scalar_type() == ScalarType::Double) prox_tv1d_rows<double>(x, weights, y, Method(method));
  else prox_tv1d_rows<float>(x, weights, y, Method(method));
  return y;
}

// ---- prox_tv1d_backward(y: (B, N), grad: (B, N), per_edge) -> gx (B, N), gw (B, 1 or N-1) ----

template <typename T>
void backward_rows(const Tensor& y, const Tensor& g, Tensor& gx, Tensor& gw, bool per_edge) {
  using L = CpuLanes<T>;
  constexpr int W = L::W;
  const int64_t B = y.size(0), N = y.size(1), E = gw.size(1);
  const T *py = y.const_data_ptr<T>(), *pg = g.const_data_ptr<T>();
  T *px = gx.mutable_data_ptr<T>(), *pw = gw.mutable_data_ptr<T>();
  torch::stable::parallel_for(0, (B + W - 1) / W, grain_for(W * N), [&](int64_t a, int64_t b) {
    std::vector<T> yy(N * W), gg(N * W), out(N * W);
    for (int64_t first = a * W; first < std::min<int64_t>(b * W, B); first += W) {
      const int live = int(std::min<int64_t>(W, B - first));
      for (int l = 0; l < W; ++l) {
        const int64_t row = (first + std::min(l, live - 1)) * N;
        for (int64_t n = 0; n < N; ++n) yy[n * W + l] = py[row + n], gg[n * W + l] = pg[row + n];
      }
      tv1d_segment_mean<L>(yy.data(), gg.data(), out.data(), int(N), W);
      for (int l = 0; l < live; ++l)
        for (int64_t n = 0; n < N; ++n) px[(first + l) * N + n] = out[n * W + l];
      T edge[W];
      auto sum = L::fill(0);
      for (int64_t n = 0; n + 1 < N; ++n) {
        const auto e = tv1d_edge_grad<L>(yy.data(), out.data(), int(n), W);
        sum = sum + e;
        if (!per_edge) continue;
        L::store(edge, e);
        for (int l = 0; l < live; ++l) pw[(first + l) * E + n] = edge[l];
      }
      if (per_edge) continue;
      L::store(edge, sum);
      for (int l = 0; l < live; ++l) pw[first + l] = edge[l];
    }
  });
}

std::tuple<Tensor, Tensor> prox_tv1d_backward_cpu(Tensor y, Tensor grad, bool per_edge) {
  y = torch::stable::contiguous(y);
  grad = torch::stable::contiguous(grad);
  const int64_t E = per_edge ? std::max<int64_t>(1, y.size(1) - 1) : 1;
  Tensor gx = torch::stable::empty_like(y), gw = torch::stable::new_zeros(y, {y.size(0), E});
  if (y.scalar_type() == ScalarType::Double) backward_rows<double>(y, grad, gx, gw, per_edge);
  else backward_rows<float>(y, grad, gx, gw, per_edge);
  return {gx, gw};
}

}  // namespace nsz

STABLE_TORCH_LIBRARY_IMPL(nsz, CPU, m) {
  m.impl("prox_tv1d", TORCH_BOX(&nsz::prox_tv1d_cpu));
  m.impl("prox_tv1d_backward", TORCH_BOX(&nsz::prox_tv1d_backward_cpu));
}
