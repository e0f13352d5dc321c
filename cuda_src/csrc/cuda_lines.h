// CUDA side of the operators, what they share: a thread a row, running the same functions as the CPU with one lane.
#pragma once

#include <cuda_runtime.h>

#include <torch/csrc/inductor/aoti_torch/c/shim.h>
#include <torch/csrc/stable/accelerator.h>
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/util/Exception.h>

#include "tv1d.h"
#include "tv1d_newton.h"

namespace nsz {
namespace {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;

constexpr int kThreads = 128;
constexpr int kLines = 32;  // in a block: few lines, on many processors, are done sooner than on few
constexpr int kNoBudget = 0x7fffffff;  // a rescan costs a warp less than the memory of a taut string for every row

// The device and the stream that PyTorch is on, for the time of a call.
struct Place {
  torch::stable::accelerator::DeviceGuard guard;
  cudaStream_t stream;
  explicit Place(const Tensor& t) : guard(t.get_device_index()) {
    void* handle = nullptr;
    TORCH_ERROR_CODE_CHECK(aoti_torch_get_current_cuda_stream(t.get_device_index(), &handle));
    stream = static_cast<cudaStream_t>(handle);
  }
  unsigned blocks(int64_t threads, int size = kThreads) const { return unsigned((threads + size - 1) / size); }
  void check() const {
    const cudaError_t error = cudaGetLastError();
    STD_TORCH_CHECK(error == cudaSuccess, "CUDA: ", cudaGetErrorString(error));
  }
};

// Lines of a batch of fields: line l of image b starts at b * image + l * line, its samples are `step` apart. Weights:
// lam[b * lam_step], or edges[b * edge_image + l * edge_line + n * edge_step].
template <typename T>
struct Lines {
  int64_t images, count, length, image, line, step;
  const T* lam;
  int64_t lam_step;
  const T* edges;
  int64_t edge_image, edge_line, edge_step;
  const T* most;  // largest useful lam of an image, or null
};

// `newton`: 7 values a sample, or null for the direct method.
template <typename T, bool kEdges>
__global__ void solve_lines(Lines<T> f, const T* x, T* y, double* newton, const uint8_t* done) {
  const int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= f.images * f.count) return;
  const int64_t b = i / f.count, l = i % f.count, at = b * f.image + l * f.line;
  if (done && done[b]) return;
  const int N = int(f.length), step = int(f.step);
  T lam = kEdges ? T(1) : f.lam[b * f.lam_step];
  if (f.most && f.most[b] < lam) lam = f.most[b];
  const T* edges = kEdges ? f.edges + b * f.edge_image + l * f.edge_line : nullptr;
  const Weights<OneLane<T>, kEdges> w(lam, edges, int(f.edge_step), largest_dual<OneLane<T>>(x + at, N, step));
  if (newton) tv1d_newton<T>(x + at, y + at, N, step, w, newton + i * 7 * N);
  else tv1d_direct<OneLane<T>>(x + at, y + at, N, step, w, kNoBudget, nullptr);
}

template <typename T>
void solve(const Place& place, const Lines<T>& f, const T* x, T* y, double* newton, const uint8_t* done) {
  const auto kernel = f.edges ? solve_lines<T, true> : solve_lines<T, false>;
  kernel<<<place.blocks(f.images * f.count, kLines), kLines, 0, place.stream>>>(f, x, y, newton, done);
}

}  // namespace
}  // namespace nsz
