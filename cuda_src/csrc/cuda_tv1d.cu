// CUDA: prox_tv1d and its backward. Schemas are in cuda_src/ops.py.
#include "cuda_lines.h"

namespace nsz {
namespace {

template <typename T>
void prox_tv1d_rows(const Place& place, const Tensor& x, const Tensor& w, Tensor& y, bool newton) {
  const int64_t B = x.size(0), N = x.size(1), columns = w.size(1), row = w.size(0) > 1 ? columns : 0;
  const T* weights = w.const_data_ptr<T>();
  const Lines<T> f{B, 1, N, N, N, 1, weights, row, columns > 1 ? weights : nullptr, row, 0, 1, nullptr};
  Tensor work = torch::stable::new_empty(x, {newton ? B * 7 * N : 1}, ScalarType::Double);
  solve<T>(place, f, x.const_data_ptr<T>(), y.mutable_data_ptr<T>(), newton ? work.mutable_data_ptr<double>() : nullptr,
           nullptr);
  place.check();
}

Tensor prox_tv1d_cuda(Tensor x, Tensor weights, int64_t method) {
  const Place place(x);
  x = torch::stable::contiguous(x);
  weights = torch::stable::contiguous(weights);
  Tensor y = torch::stable::empty_like(x);
  if (x.scalar_type() == ScalarType::Double) prox_tv1d_rows<double>(place, x, weights, y, method == 1);
  else prox_tv1d_rows<float>(place, x, weights, y, method == 1);
  return y;
}

template <typename T>
__global__ void backward_rows(const T* y, const T* g, T* gx, T* gw, int64_t B, int N, bool per_edge) {
  const int64_t b = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (b >= B) return;
  using L = OneLane<T>;
  tv1d_segment_mean<L>(y + b * N, g + b * N, gx + b * N, N, 1);
  T sum = 0;
  for (int n = 0; n + 1 < N; ++n) {
    const T e = tv1d_edge_grad<L>(y + b * N, gx + b * N, n, 1);
    sum += e;
    if (per_edge) gw[b * (N - 1) + n] = e;
  }
  if (!per_edge) gw[b] = sum;
}

std::tuple<Tensor, Tensor> prox_tv1d_backward_cuda(Tensor y, Tensor grad, bool per_edge) {
  const Place place(y);
  y = torch::stable::contiguous(y);
  grad = torch::stable::contiguous(grad);
  const int64_t B = y.size(0), N = y.size(1);
  Tensor gx = torch::stable::empty_like(y), gw = torch::stable::new_zeros(y, {B, per_edge && N > 1 ? N - 1 : 1});
  const auto launch = [&](auto zero) {
    using T = decltype(zero);
    backward_rows<T><<<place.blocks(B), kThreads, 0, place.stream>>>(
        y.const_data_ptr<T>(), grad.const_data_ptr<T>(), gx.mutable_data_ptr<T>(), gw.mutable_data_ptr<T>(), B, int(N),
        per_edge);
  };
  if (y.scalar_type() == ScalarType::Double) launch(0.0);
  else launch(0.0f);
  place.check();
  return {gx, gw};
}

}  // namespace
}  // namespace nsz

STABLE_TORCH_LIBRARY_IMPL(nsz, CUDA, m) {
  m.impl("prox_tv1d", TORCH_BOX(&nsz::prox_tv1d_cuda));
  m.impl("prox_tv1d_backward", TORCH_BOX(&nsz::prox_tv1d_backward_cuda));
}
