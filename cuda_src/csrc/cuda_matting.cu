// CUDA: matting_bands, matting_apply, matting_chebyshev, matting_cg. Schemas are in cuda_src/ops.py.
#include "cuda_lines.h"
#include "matting.h"

namespace nsz {
namespace {

// A thread a pixel of an image (windows, bands), or of a channel of one (the rest). ----

struct Size {
  int64_t B, C, H, W, n;
  Size(const Tensor& t) : B(t.size(0)), C(t.size(1)), H(t.size(2)), W(t.size(3)), n(H * W) {}
  bool empty() const { return H < 3 || W < 3; }  // no window fits
};

template <typename T>
struct Colours {  // of one image, around pixel `at`
  const T* image;
  int64_t at, n, W;
  __device__ double operator()(int c, int a, int b) const { return image[c * n + at + a * W + b]; }
};

template <typename T>
__global__ void find_windows(const T* image, double* windows, Size s, double eps) {
  const int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x, b = i / s.n, at = i % s.n;
  const int64_t row = at / s.W, column = at % s.W;
  if (b >= s.B || row < 1 || row >= s.H - 1 || column < 1 || column >= s.W - 1) return;
  double out[kWindow];
  matting_window<OneLane<double>>(Colours<T>{image + b * 3 * s.n, at, s.n, s.W}, eps, out);
  out[9] = 1;
  for (int e = 0; e < kWindow; ++e) windows[(b * kWindow + e) * s.n + at] = out[e];
}

template <typename T>
__global__ void find_bands(const T* image, const double* windows, T* bands, Size s) {
  const int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x, b = i / s.n, at = i % s.n;
  if (b >= s.B) return;
  const int64_t row = at / s.W, column = at % s.W;
  const auto has = [&](int a, int c) {
    return row + a >= 1 && row + a < s.H - 1 && column + c >= 1 && column + c < s.W - 1;
  };
  const double* own = windows + b * kWindow * s.n + at;
  double out[kBands];
  matting_pixel<OneLane<double>>(
      has, [&](int e, int a, int c) { return own[e * s.n + a * s.W + c]; },
      Colours<T>{image + b * 3 * s.n, at, s.n, s.W}, out);
  for (int k = 0; k < kBands; ++k) bands[(b * kBands + k) * s.n + at] = T(out[k]);
}

// L y at a pixel of the channel `y`
template <typename T>
__device__ T product_at(const T* bands, const T* y, const Size& s, int64_t at) {
  using L = OneLane<T>;
  const int64_t row = at / s.W, column = at % s.W;
  T sum[1] = {T(0)};
  const auto add = [&](auto below) {
    constexpr int A = decltype(below)::value;
    if (row + A < 0 || row + A >= s.H) return;
    const auto pixel = [&](int, int b) {
      return column + b < 0 || column + b >= s.W ? T(0) : y[at + A * s.W + b];
    };
    matting_taps<L, 1, A>(bands, s.n, s.W, at, pixel, sum);
  };
  add(std::integral_constant<int, 0>{});
  add(std::integral_constant<int, -2>{});
  add(std::integral_constant<int, -1>{});
  add(std::integral_constant<int, 1>{});
  add(std::integral_constant<int, 2>{});
  return sum[0];
}

template <typename T>
struct System {  // every channel of every image
  Size s;
  const T* bands;
  int64_t step;  // between the bands of images
  const T* y;
  T* x;
  __device__ const T* bands_of(int64_t plane) const { return bands + plane / s.C * step; }
};

template <typename T>
System<T> system_of(const Tensor& bands, const Tensor& y, Tensor& x) {
  const Size s(y);
  return {s, bands.const_data_ptr<T>(), bands.size(0) > 1 ? kBands * s.n : 0, y.const_data_ptr<T>(),
          x.mutable_data_ptr<T>()};
}

template <typename T>
__global__ void apply(System<T> v) {
  const int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x, plane = i / v.s.n;
  if (plane >= v.s.B * v.s.C) return;
  v.x[i] = product_at(v.bands_of(plane), v.y + plane * v.s.n, v.s, i % v.s.n);
}

template <typename T>
__global__ void chebyshev(System<T> v, const T* x, const T* before, T* next, T twice, T step, T momentum) {
  const int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x, plane = i / v.s.n;
  if (plane >= v.s.B * v.s.C) return;
  const T product = product_at(v.bands_of(plane), x + plane * v.s.n, v.s, i % v.s.n);
  next[i] = chebyshev_step<OneLane<T>>(x[i], before[i], v.y[i], product, twice, step, momentum);
}

// Conjugate gradients: blocks stay within a channel and leave their share of each sum; one block a channel adds them
// up, in an order that does not change. ----

template <typename T>
struct Fields {
  System<T> v;
  int64_t blocks;  // of a channel
  T *r, *p, *q;
  double* shares;  // (B C, blocks)
  double* yy;      // (B C)
  CgSystem* systems;
  double* residual;
  int64_t* iterations;
  uint8_t* done;  // (B)
  int* left;
  T twice;
};

__device__ double sum_of_block(double value) {
  __shared__ double part[kThreads];
  part[threadIdx.x] = value;
  for (int half = kThreads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) part[threadIdx.x] += part[threadIdx.x + half];
  }
  __syncthreads();
  const double sum = part[0];
  __syncthreads();
  return sum;
}

// f(index, pixel) is a pixel's term of the sum, for the pixels of this block
template <typename T, class F>
__device__ void share_of_block(const Fields<T>& f, const F& term) {
  const int64_t plane = blockIdx.x / f.blocks, at = blockIdx.x % f.blocks * kThreads + threadIdx.x;
  const double sum = sum_of_block(at < f.v.s.n ? double(term(plane, plane * f.v.s.n + at, at)) : 0.0);
  if (threadIdx.x == 0) f.shares[blockIdx.x] = sum;
}

template <typename T>
__device__ double added(const Fields<T>& f) {  // of the channel blockIdx.x, to every thread
  double own = 0;
  for (int64_t k = threadIdx.x; k < f.blocks; k += kThreads) own += f.shares[blockIdx.x * f.blocks + k];
  return sum_of_block(own);
}

template <typename T>
__global__ void squares(Fields<T> f) {
  share_of_block(f, [&](int64_t, int64_t i, int64_t) { return double(f.v.y[i]) * double(f.v.y[i]); });
}

template <typename T>
__global__ void residuals(Fields<T> f) {
  share_of_block(f, [&](int64_t plane, int64_t i, int64_t at) {
    const T product = product_at(f.v.bands_of(plane), f.v.x + plane * f.v.s.n, f.v.s, at);
    f.r[i] = f.v.y[i] - f.v.x[i] - product * f.twice;
    return f.r[i] * f.r[i];
  });
}

template <typename T>
__global__ void directions(Fields<T> f) {
  const int64_t plane = blockIdx.x / f.blocks, at = blockIdx.x % f.blocks * kThreads + threadIdx.x;
  const int64_t i = plane * f.v.s.n + at;
  if (at < f.v.s.n && !f.done[plane / f.v.s.C]) f.p[i] = f.r[i] + T(f.systems[plane].beta) * f.p[i];
}

template <typename T>
__global__ void curvatures(Fields<T> f) {
  if (f.done[blockIdx.x / f.blocks / f.v.s.C]) return;
  share_of_block(f, [&](int64_t plane, int64_t i, int64_t at) {
    f.q[i] = f.p[i] + f.twice * product_at(f.v.bands_of(plane), f.p + plane * f.v.s.n, f.v.s, at);
    return f.p[i] * f.q[i];
  });
}

template <typename T>
__global__ void steps(Fields<T> f) {
  if (f.done[blockIdx.x / f.blocks / f.v.s.C]) return;
  share_of_block(f, [&](int64_t plane, int64_t i, int64_t) {
    const T alpha = T(f.systems[plane].alpha);
    f.v.x[i] += alpha * f.p[i];
    f.r[i] -= alpha * f.q[i];
    return f.r[i] * f.r[i];
  });
}

enum Sum { kSquares, kFirst, kCurvature, kResidual, kLast };

template <typename T>
__global__ void add_up(Fields<T> f, Sum what, double tol) {  // a block a channel
  const bool passed = (what == kCurvature || what == kResidual) && f.done[blockIdx.x / f.v.s.C];
  if (passed) return;  // the whole block
  const double sum = added(f);
  if (threadIdx.x) return;
  CgSystem& system = f.systems[blockIdx.x];
  if (what == kSquares) f.yy[blockIdx.x] = sum;
  if (what == kFirst) system.start(sum, f.yy[blockIdx.x], tol);
  if (what == kCurvature) system.along(sum);
  if (what == kResidual) system.arrived(sum);
  if (what == kLast) system.residual = sum;
}

template <typename T>
__global__ void judge(Fields<T> f, bool stepped) {  // a thread an image
  const int64_t b = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (b >= f.v.s.B || f.done[b]) return;
  f.iterations[b] += stepped;
  for (int64_t c = 0; c < f.v.s.C; ++c)
    if (!f.systems[b * f.v.s.C + c].done()) return;
  f.done[b] = 1;
  atomicSub(f.left, 1);
}

template <typename T>
__global__ void report(Fields<T> f) {
  const int64_t b = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (b >= f.v.s.B) return;
  for (int64_t i = b * f.v.s.C; i < (b + 1) * f.v.s.C; ++i)
    if (f.yy[i] > 0) f.residual[b] = fmax(f.residual[b], sqrt(f.systems[i].residual / f.yy[i]));
}

template <typename T>
void conjugate_gradient(const Place& place, const Fields<T>& f, int64_t max_iter, double tol) {
  const unsigned planes = unsigned(f.v.s.B * f.v.s.C), all = unsigned(planes * f.blocks);
  const unsigned images = place.blocks(f.v.s.B);
  const auto stream = place.stream;
  squares<T><<<all, kThreads, 0, stream>>>(f);
  add_up<T><<<planes, kThreads, 0, stream>>>(f, kSquares, tol);
  residuals<T><<<all, kThreads, 0, stream>>>(f);
  add_up<T><<<planes, kThreads, 0, stream>>>(f, kFirst, tol);
  judge<T><<<images, kThreads, 0, stream>>>(f, false);
  for (int64_t k = 0; k < max_iter; ++k) {
    if (k % 8 == 0) {
      int left = 0;
      cudaMemcpyAsync(&left, f.left, sizeof left, cudaMemcpyDeviceToHost, stream);
      cudaStreamSynchronize(stream);
      if (left == 0) break;
    }
    directions<T><<<all, kThreads, 0, stream>>>(f);
    curvatures<T><<<all, kThreads, 0, stream>>>(f);
    add_up<T><<<planes, kThreads, 0, stream>>>(f, kCurvature, tol);
    steps<T><<<all, kThreads, 0, stream>>>(f);
    add_up<T><<<planes, kThreads, 0, stream>>>(f, kResidual, tol);
    judge<T><<<images, kThreads, 0, stream>>>(f, true);
  }
  residuals<T><<<all, kThreads, 0, stream>>>(f);
  add_up<T><<<planes, kThreads, 0, stream>>>(f, kLast, tol);
  report<T><<<images, kThreads, 0, stream>>>(f);
}

// ---- the operators ----

template <class F>
void with_type(const Tensor& t, const F& f) {
  if (t.scalar_type() == ScalarType::Double) f(0.0);
  else f(0.0f);
}

Tensor matting_bands_cuda(Tensor image, double eps) {
  const Place place(image);
  image = torch::stable::contiguous(image);
  const Size s(image);
  Tensor bands = torch::stable::new_zeros(image, {s.B, kBands, s.H, s.W});
  if (s.empty()) return bands;
  Tensor windows = torch::stable::new_zeros(image, {s.B, kWindow, s.H, s.W}, ScalarType::Double);
  with_type(image, [&](auto zero) {
    using T = decltype(zero);
    const T* colours = image.const_data_ptr<T>();
    double* pw = windows.mutable_data_ptr<double>();
    find_windows<T><<<place.blocks(s.B * s.n), kThreads, 0, place.stream>>>(colours, pw, s, eps);
    find_bands<T><<<place.blocks(s.B * s.n), kThreads, 0, place.stream>>>(colours, pw, bands.mutable_data_ptr<T>(), s);
  });
  place.check();
  return bands;
}

Tensor matting_apply_cuda(Tensor bands, Tensor y) {
  const Place place(y);
  bands = torch::stable::contiguous(bands);
  y = torch::stable::contiguous(y);
  Tensor out = torch::stable::new_zeros(y, {y.size(0), y.size(1), y.size(2), y.size(3)});
  if (Size(y).empty() || y.numel() == 0) return out;
  with_type(y, [&](auto zero) {
    using T = decltype(zero);
    apply<T><<<place.blocks(y.numel()), kThreads, 0, place.stream>>>(system_of<T>(bands, y, out));
  });
  place.check();
  return out;
}

Tensor matting_chebyshev_cuda(Tensor bands, Tensor y, double lam, int64_t order, double spectrum) {
  const Place place(y);
  bands = torch::stable::contiguous(bands);
  y = torch::stable::contiguous(y);
  Tensor out = torch::stable::clone(y);
  if (order < 1 || lam == 0 || Size(y).empty() || y.numel() == 0) return out;
  Tensor other = torch::stable::empty_like(y);
  with_type(y, [&](auto zero) {
    using T = decltype(zero);
    const System<T> v = system_of<T>(bands, y, out);
    const T *x = v.y, *before = v.y;
    ChebyshevSteps numbers(lam, spectrum);
    for (int64_t k = 1; k <= order; ++k) {
      numbers.next();
      T* next = (order - k) % 2 ? other.mutable_data_ptr<T>() : v.x;
      chebyshev<T><<<place.blocks(y.numel()), kThreads, 0, place.stream>>>(
          v, x, before, next, T(2 * lam), T(numbers.step), T(numbers.momentum));
      before = x;
      x = next;
    }
  });
  place.check();
  return out;
}

std::tuple<Tensor, Tensor, Tensor> matting_cg_cuda(Tensor bands, Tensor y, double lam, int64_t max_iter, double tol) {
  const Place place(y);
  bands = torch::stable::contiguous(bands);
  y = torch::stable::contiguous(y);
  const Size s(y);
  const int64_t planes = s.B * s.C, blocks = (s.n + kThreads - 1) / kThreads;
  const auto zeros = [&](int64_t size, ScalarType type) { return torch::stable::new_zeros(y, {size}, type); };
  Tensor x = torch::stable::clone(y), residual = zeros(s.B, ScalarType::Double);
  Tensor iterations = zeros(s.B, ScalarType::Long);
  if (s.empty() || y.numel() == 0) return {x, residual, iterations};
  Tensor r = torch::stable::empty_like(y), q = torch::stable::empty_like(y);
  Tensor p = torch::stable::new_zeros(y, {s.B, s.C, s.H, s.W});
  Tensor shares = zeros(planes * blocks, ScalarType::Double), yy = zeros(planes, ScalarType::Double);
  Tensor systems = zeros(planes * int64_t(sizeof(CgSystem) / sizeof(double)), ScalarType::Double);
  Tensor done = zeros(s.B, ScalarType::Byte), left = zeros(1, ScalarType::Int);
  const int all = int(s.B);
  cudaMemcpyAsync(left.mutable_data_ptr<int>(), &all, sizeof all, cudaMemcpyHostToDevice, place.stream);
  with_type(y, [&](auto zero) {
    using T = decltype(zero);
    conjugate_gradient<T>(place,
                          {system_of<T>(bands, y, x), blocks, r.mutable_data_ptr<T>(), p.mutable_data_ptr<T>(),
                           q.mutable_data_ptr<T>(), shares.mutable_data_ptr<double>(), yy.mutable_data_ptr<double>(),
                           reinterpret_cast<CgSystem*>(systems.mutable_data_ptr<double>()),
                           residual.mutable_data_ptr<double>(), iterations.mutable_data_ptr<int64_t>(),
                           done.mutable_data_ptr<uint8_t>(), left.mutable_data_ptr<int>(), T(2 * lam)},
                          max_iter, tol);
  });
  place.check();
  return {x, residual, iterations};
}

}  // namespace
}  // namespace nsz

STABLE_TORCH_LIBRARY_IMPL(nsz, CUDA, m) {
  m.impl("matting_bands", TORCH_BOX(&nsz::matting_bands_cuda));
  m.impl("matting_apply", TORCH_BOX(&nsz::matting_apply_cuda));
  m.impl("matting_chebyshev", TORCH_BOX(&nsz::matting_chebyshev_cuda));
  m.impl("matting_cg", TORCH_BOX(&nsz::matting_cg_cuda));
}
