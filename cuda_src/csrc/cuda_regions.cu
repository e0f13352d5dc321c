// CUDA: region_mean. Schemas are in cuda_src/ops.py.
#include "cuda_lines.h"

namespace nsz {
namespace {

// Union-find with atomics, then sums by atomics ----

__device__ int64_t root_of(const int64_t* parent, int64_t i) {
  while (parent[i] != i) i = parent[i];
  return i;
}

__device__ void join(int64_t* parent, int64_t i, int64_t j) {
  for (;;) {
    i = root_of(parent, i);
    j = root_of(parent, j);
    if (i == j) return;
    if (i < j) { const int64_t t = i; i = j; j = t; }
    // hang the larger root under the smaller one; another thread may have moved it meanwhile: then go on from there
    const auto seen = atomicMin(reinterpret_cast<unsigned long long*>(parent + i), static_cast<unsigned long long>(j));
    if (int64_t(seen) == i) return;
    i = int64_t(seen);
  }
}

__global__ void start_regions(int64_t* parent, double* sum, double* size, int64_t all) {
  const int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i < all) parent[i] = i, sum[i] = 0, size[i] = 0;
}

__global__ void join_regions(int64_t* parent, const bool* right, const bool* below, int64_t H, int64_t W, int64_t all) {
  const int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= all) return;
  const int64_t column = i % W, row = i / W % H, b = i / (W * H);
  if (column + 1 < W && right[(b * H + row) * (W - 1) + column]) join(parent, i, i + 1);
  if (row + 1 < H && below[(b * (H - 1) + row) * W + column]) join(parent, i, i + W);
}

template <typename T>
__global__ void sum_regions(int64_t* parent, const T* values, double* sum, double* size, int64_t all) {
  const int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= all) return;
  const int64_t root = root_of(parent, i);
  atomicAdd(sum + root, double(values[i]));
  atomicAdd(size + root, 1.0);
}

template <typename T>
__global__ void spread_regions(const int64_t* parent, const double* sum, const double* size, T* out, int64_t all) {
  const int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= all) return;
  const int64_t root = root_of(parent, i);
  out[i] = T(sum[root] / size[root]);
}

Tensor region_mean_cuda(Tensor values, Tensor right, Tensor below) {
  const Place place(values);
  values = torch::stable::contiguous(values);
  right = torch::stable::contiguous(right);
  below = torch::stable::contiguous(below);
  const int64_t all = values.numel();
  Tensor out = torch::stable::empty_like(values);
  Tensor parent = torch::stable::new_empty(values, {all}, ScalarType::Long);
  Tensor sum = torch::stable::new_empty(values, {all}, ScalarType::Double);
  Tensor size = torch::stable::new_empty(values, {all}, ScalarType::Double);
  int64_t* up = parent.mutable_data_ptr<int64_t>();
  double *ps = sum.mutable_data_ptr<double>(), *pn = size.mutable_data_ptr<double>();
  const unsigned grid = place.blocks(all);
  start_regions<<<grid, kThreads, 0, place.stream>>>(up, ps, pn, all);
  join_regions<<<grid, kThreads, 0, place.stream>>>(up, right.const_data_ptr<bool>(), below.const_data_ptr<bool>(),
                                                   values.size(1), values.size(2), all);
  const auto finish = [&](auto zero) {
    using T = decltype(zero);
    sum_regions<T><<<grid, kThreads, 0, place.stream>>>(up, values.const_data_ptr<T>(), ps, pn, all);
    spread_regions<T><<<grid, kThreads, 0, place.stream>>>(up, ps, pn, out.mutable_data_ptr<T>(), all);
  };
  if (values.scalar_type() == ScalarType::Double) finish(0.0);
  else finish(0.0f);
  place.check();
  return out;
}

}  // namespace
}  // namespace nsz

STABLE_TORCH_LIBRARY_IMPL(nsz, CUDA, m) {
  m.impl("region_mean", TORCH_BOX(&nsz::region_mean_cuda));
}
