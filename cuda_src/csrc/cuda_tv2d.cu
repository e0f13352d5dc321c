// CUDA: prox_tv2d. Schemas are in cuda_src/ops.py.
#include "cuda_lines.h"
#include "tv2d.h"

namespace nsz {
namespace {

// Every kernel covers all pixels (or rows, a warp each) of all images; images that are done are passed over ----

constexpr int kWarp = 32;
constexpr int kTeam = 1024;  // threads that go over an image together
constexpr unsigned kEvery = 0xffffffffu;

struct Plus {
  __device__ double operator()(double a, double b) const { return a + b; }
};
struct Larger {
  __device__ double operator()(double a, double b) const { return fmax(a, b); }
};

// A warp's values in one; all its threads get the same.
template <class Op = Plus>
__device__ double of_warp(double value) {
  for (int apart = kWarp / 2; apart > 0; apart /= 2) value = Op()(value, __shfl_xor_sync(kEvery, value, apart));
  return value;
}

// The same for a team; no value may be below 0.
template <class Op = Plus>
__device__ double of_team(double value) {
  __shared__ double parts[kTeam / kWarp];
  value = of_warp<Op>(value);
  __syncthreads();  // nobody reads an earlier result any more
  if (threadIdx.x % kWarp == 0) parts[threadIdx.x / kWarp] = value;
  __syncthreads();
  return of_warp<Op>(parts[threadIdx.x % kWarp]);
}

template <typename T>
struct Fields {
  int64_t B, H, W;
  const T *x, *right, *below;  // right, below: numbers of each image, or one an edge (`edges`)
  int64_t right_step, below_step;
  bool edges;
  T *y, *p, *q, *pe, *qe, *z;  // pe, qe: extrapolated; z: scratch
  T *centre, *most, *still;    // of each image: the mean, the largest useful lam, rounding_of
  T* beta;                     // of each image: the extrapolation of this sweep
  double* t;                   // of each image: the momentum of the sweeps
  RowSums* sums;               // (B, H)
  double *gap, *objective, *best;
  int64_t *iterations, *step;
  uint8_t* done;
  int* left;                   // images that are not done
};

template <typename T>
__device__ T lam_of(const Fields<T>& v, const T* lam, int64_t step, int64_t b) {
  return lam[b * step] < v.most[b] ? lam[b * step] : v.most[b];
}

// A team an image.
template <typename T>
__global__ void prepare(Fields<T> v) {
  const int64_t b = blockIdx.x, n = v.H * v.W;
  const T* x = v.x + b * n;
  double mean = 0, away = 0, peak = 0;
  for (int64_t i = threadIdx.x; i < n; i += kTeam) mean += x[i], peak = fmax(peak, fabs(double(x[i])));
  mean = of_team(mean) / double(n);
  peak = of_team<Larger>(peak);
  for (int64_t i = threadIdx.x; i < n; i += kTeam) away += fabs(double(x[i]) - mean);
  away = of_team(away);
  if (threadIdx.x != 0) return;
  v.centre[b] = T(mean);
  v.most[b] = T(away);
  v.still[b] = rounding_of(T(peak));
  v.best[b] = -1;
  v.t[b] = 1;
  for (int64_t k = 0; k < v.step[b]; ++k) v.t[b] = next_t(v.t[b]);
}

#define NSZ_PIXEL(v)                                                     \
  const int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;      \
  const int64_t b = i / ((v).H * (v).W);                                 \
  if (b >= (v).B || (v).done[b]) return;

template <typename T>
__global__ void before_rows(Fields<T> v) {
  NSZ_PIXEL(v)
  v.z[i] = v.x[i] - v.qe[i];
}

template <typename T>
__global__ void before_columns(Fields<T> v) {  // y holds the sweep over rows of z
  NSZ_PIXEL(v)
  v.p[i] = v.z[i] - v.y[i];
  v.z[i] = v.x[i] - v.p[i];
}

template <typename T>
__global__ void after_columns(Fields<T> v) {  // y holds the sweep over columns of z
  NSZ_PIXEL(v)
  const T q = v.z[i] - v.y[i];
  v.qe[i] = q + v.beta[b] * (q - v.q[i]);
  v.q[i] = q;
}

template <typename T>
__global__ void primal_of(Fields<T> v, bool extrapolated) {
  NSZ_PIXEL(v)
  const int64_t row = i / v.W * v.W;
  const T *p = extrapolated ? v.pe : v.p, *q = extrapolated ? v.qe : v.q;
  tv2d_primal<OneLane<T>>(v.x + row, p + row, q + row, v.y + row, int(i - row), int(v.W), i / v.W % v.H == 0);
}

template <typename T>
__global__ void dual_step(Fields<T> v) {
  NSZ_PIXEL(v)
  const int64_t row = i / v.W * v.W;
  const int j = int(i - row);
  tv2d_dual_step<OneLane<T>>(v.y + row, v.p + row, v.q + row, v.pe + row, v.qe + row, j, int(v.W), j + 1 < v.W,
                             i / v.W % v.H == v.H - 1, lam_of(v, v.right, v.right_step, b),
                             T(fgp_momentum(int(v.step[b]))));
}

template <typename T>
__global__ void restart(Fields<T> v) {
  NSZ_PIXEL(v)
  if (v.step[b] == 0) v.pe[i] = v.p[i], v.qe[i] = v.q[i];
}

// Which of the rows, or images, this thread's warp has.
__device__ int64_t warp_index() { return (int64_t(blockIdx.x) * blockDim.x + threadIdx.x) / kWarp; }

template <typename T, bool kIsotropic>
__global__ void row_sums(Fields<T> v) {
  const int64_t r = warp_index(), b = r / v.H, i = r % v.H;
  if (b >= v.B || v.done[b]) return;
  const bool last = i + 1 == v.H;
  const T* right = v.edges ? v.right + b * v.right_step + i * (v.W - 1) : nullptr;
  const T* below = v.edges && !last ? v.below + b * v.below_step + i * v.W : nullptr;
  const T lam_right = v.edges ? T(1) : v.right[b * v.right_step];
  const T lam_below = v.edges ? T(1) : v.below[b * v.below_step];
  const Image<T> row{v.x + r * v.W, v.y + r * v.W, right, below, lam_right, lam_below, int(v.W), last, v.centre[b],
                     v.still[b]};
  T fidelity = 0, tv = 0, slope = 0;
  for (int j = threadIdx.x % kWarp; j < row.width; j += kWarp)
    tv2d_sums<OneLane<T>, kIsotropic>(row, j, true, j + 1 < row.width, fidelity, tv, slope);
  const RowSums sums{of_warp(fidelity), of_warp(tv), of_warp(slope)};
  if (threadIdx.x % kWarp == 0) v.sums[r] = sums;
}

template <typename T>
__device__ double add_rows(Fields<T>& v, int64_t b) {  // sets gap and objective, returns the dual objective
  RowSums s;
  for (int64_t i = threadIdx.x % kWarp; i < v.H; i += kWarp) {
    const RowSums& r = v.sums[b * v.H + i];
    s.fidelity += r.fidelity, s.tv += r.tv, s.slope += r.slope;
  }
  s = {of_warp(s.fidelity), of_warp(s.tv), of_warp(s.slope)};
  const double objective = s.fidelity + s.tv, gap = s.tv > s.slope ? s.tv - s.slope : 0.0;
  if (threadIdx.x % kWarp == 0) v.objective[b] = objective, v.gap[b] = gap;
  return objective - gap;
}

template <typename T>
__global__ void start_from(Fields<T> v) {
  const int64_t b = warp_index();
  if (b >= v.B || v.step[b] == 0) return;
  const double dual = add_rows(v, b);
  if (threadIdx.x % kWarp == 0) v.best[b] = dual;
}

template <typename T>
__global__ void judge(Fields<T> v, double tol) {
  const int64_t b = warp_index();
  if (b >= v.B || v.done[b]) return;
  const double dual = add_rows(v, b);
  if (threadIdx.x % kWarp != 0) return;
  if (dual < v.best[b]) v.step[b] = 0;
  v.best[b] = dual;
  if (v.gap[b] <= tol * v.objective[b]) {
    v.done[b] = 1;
    atomicSub(v.left, 1);
  }
}

template <typename T>
__global__ void count_step(Fields<T> v) {
  const int64_t b = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (b >= v.B || v.done[b]) return;
  ++v.iterations[b];
  ++v.step[b];
  const double after = next_t(v.t[b]);
  v.beta[b] = T((v.t[b] - 1) / after);
  v.t[b] = after;
}

template <typename T, bool kIsotropic>
void iterate(const Place& place, const Fields<T>& v, int64_t max_iter, double tol) {
  const int64_t n = v.H * v.W;
  const unsigned pixels = place.blocks(v.B * n), images = place.blocks(v.B);
  const unsigned image_warps = place.blocks(v.B * kWarp), row_warps = place.blocks(v.B * v.H * kWarp);
  const Lines<T> across{v.B, v.H, v.W, n, v.W, 1, v.right, v.right_step, v.edges ? v.right : nullptr, v.right_step,
                        v.W - 1, 1, v.most};
  const Lines<T> down{v.B, v.W, v.H, n, 1, v.W, v.below, v.below_step, v.edges ? v.below : nullptr, v.below_step,
                      1, v.W, v.most};
  prepare<T><<<unsigned(v.B), kTeam, 0, place.stream>>>(v);
  const int64_t period = kIsotropic ? 10 : 5;
  if constexpr (kIsotropic) {  // the dual objective that this goes on from
    primal_of<T><<<pixels, kThreads, 0, place.stream>>>(v, false);
    row_sums<T, true><<<row_warps, kThreads, 0, place.stream>>>(v);
    start_from<T><<<image_warps, kThreads, 0, place.stream>>>(v);
  }
  for (int64_t k = 1; k <= max_iter; ++k) {
    count_step<T><<<images, kThreads, 0, place.stream>>>(v);
    if constexpr (kIsotropic) {
      primal_of<T><<<pixels, kThreads, 0, place.stream>>>(v, true);
      dual_step<T><<<pixels, kThreads, 0, place.stream>>>(v);
    } else {
      before_rows<T><<<pixels, kThreads, 0, place.stream>>>(v);
      solve<T>(place, across, v.z, v.y, nullptr, v.done);
      before_columns<T><<<pixels, kThreads, 0, place.stream>>>(v);
      solve<T>(place, down, v.z, v.y, nullptr, v.done);
      after_columns<T><<<pixels, kThreads, 0, place.stream>>>(v);
    }
    const bool due = tol > 0 && k % period == 0;
    if (k < max_iter && !due) continue;
    if constexpr (kIsotropic) primal_of<T><<<pixels, kThreads, 0, place.stream>>>(v, false);
    row_sums<T, kIsotropic><<<row_warps, kThreads, 0, place.stream>>>(v);
    judge<T><<<image_warps, kThreads, 0, place.stream>>>(v, tol);
    if constexpr (kIsotropic) restart<T><<<pixels, kThreads, 0, place.stream>>>(v);
    int left = 0;
    cudaMemcpyAsync(&left, v.left, sizeof left, cudaMemcpyDeviceToHost, place.stream);
    cudaStreamSynchronize(place.stream);
    if (left == 0) break;
  }
  place.check();
}

using Solution = std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor>;

template <typename T>
Solution prox_tv2d_images(const Tensor& x, const Tensor& right, const Tensor& below, Tensor p, Tensor q, Tensor pe,
                          Tensor qe, Tensor step, bool isotropic, int64_t max_iter, double tol) {
  const Place place(x);
  const int64_t B = x.size(0), H = x.size(1), W = x.size(2);
  const bool edges = right.dim() == 3;
  const auto zeros = [&](int64_t size, ScalarType type) { return torch::stable::new_zeros(x, {size}, type); };
  const auto like = [&](int64_t size) { return torch::stable::new_empty(x, {size}); };
  Tensor y = torch::stable::empty_like(x), z = torch::stable::empty_like(x);
  Tensor gap = zeros(B, ScalarType::Double), objective = zeros(B, ScalarType::Double);
  Tensor iterations = zeros(B, ScalarType::Long), best = zeros(B, ScalarType::Double), t = zeros(B, ScalarType::Double);
  Tensor centre = like(B), most = like(B), still = like(B), beta = like(B);
  Tensor sums = zeros(B * H * 3, ScalarType::Double), done = zeros(B, ScalarType::Byte), left = zeros(1, ScalarType::Int);
  const int all = int(B);
  cudaMemcpyAsync(left.mutable_data_ptr<int>(), &all, sizeof all, cudaMemcpyHostToDevice, place.stream);
  const Fields<T> v{B, H, W, x.const_data_ptr<T>(), right.const_data_ptr<T>(), below.const_data_ptr<T>(),
                    right.size(0) > 1 ? (edges ? H * (W - 1) : 1) : 0, below.size(0) > 1 ? (edges ? (H - 1) * W : 1) : 0,
                    edges, y.mutable_data_ptr<T>(), p.mutable_data_ptr<T>(), q.mutable_data_ptr<T>(),
                    pe.mutable_data_ptr<T>(), qe.mutable_data_ptr<T>(), z.mutable_data_ptr<T>(),
                    centre.mutable_data_ptr<T>(), most.mutable_data_ptr<T>(), still.mutable_data_ptr<T>(),
                    beta.mutable_data_ptr<T>(), t.mutable_data_ptr<double>(),
                    reinterpret_cast<RowSums*>(sums.mutable_data_ptr<double>()), gap.mutable_data_ptr<double>(),
                    objective.mutable_data_ptr<double>(), best.mutable_data_ptr<double>(),
                    iterations.mutable_data_ptr<int64_t>(), step.mutable_data_ptr<int64_t>(),
                    done.mutable_data_ptr<uint8_t>(), left.mutable_data_ptr<int>()};
  if (isotropic) iterate<T, true>(place, v, max_iter, tol);
  else iterate<T, false>(place, v, max_iter, tol);
  return {y, p, q, pe, qe, step, gap, objective, iterations};
}

Solution prox_tv2d_cuda(Tensor x, Tensor right, Tensor below, Tensor p, Tensor q, Tensor pe, Tensor qe, Tensor step,
                        int64_t mode, int64_t max_iter, double tol, bool keep) {
  x = torch::stable::contiguous(x);
  right = torch::stable::contiguous(right);
  below = torch::stable::contiguous(below);
  const bool fresh = p.numel() == 0;
  const auto own = [&](const Tensor& t) {
    if (!fresh) return torch::stable::clone(torch::stable::contiguous(t));
    return torch::stable::new_zeros(x, {x.size(0), x.size(1), x.size(2)});
  };
  const auto solve_as = x.scalar_type() == ScalarType::Double ? prox_tv2d_images<double> : prox_tv2d_images<float>;
  Solution out = solve_as(x, right, below, own(p), own(q), own(pe), own(qe), torch::stable::clone(step), mode == 1,
                          max_iter, tol);
  if (!keep)
    std::get<1>(out) = std::get<2>(out) = std::get<3>(out) = std::get<4>(out) = torch::stable::new_zeros(x, {0});
  return out;
}

}  // namespace
}  // namespace nsz

STABLE_TORCH_LIBRARY_IMPL(nsz, CUDA, m) {
  m.impl("prox_tv2d", TORCH_BOX(&nsz::prox_tv2d_cuda));
}
