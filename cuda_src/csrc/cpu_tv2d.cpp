// CPU: prox_tv2d and region_mean. Schemas are in cuda_src/ops.py.
#include "cpu_lines.h"
#include "tv2d.h"

#include <memory>

namespace nsz {

// One image of prox_tv2d: fields of H x W pixels. Weights: one number (edges null), or one an edge.
template <typename T>
struct Problem {
  int64_t H, W;
  const T *x, *right, *below;
  T lam_right, lam_below;
  T *y, *p, *q, *pe, *qe;  // the duals and their extrapolations; in: where to go on from
  int64_t step;            // iterations that the momentum has behind it
  double gap, objective;
  int64_t iterations;
  typename CpuLanes<T>::M* sets;  // room for what `dykstra` keeps of its lines
};

template <typename T>
struct Extent {
  T mean, peak;
  T most;   // a lam at which the solution is the mean: an edge never carries more than all pixels together lie off it
  T still;  // rounding_of
  Extent(const T* x, int64_t n) {
    using L = CpuLanes<T>;
    using V = typename L::V;
    using One = OneLane<T>;
    double sum = 0, away = 0;
    V top = L::fill(0);
    T top1 = 0;
    const auto each = [&](double& total, const auto& term) {  // chunk by chunk, so that float sums stay short
      for (int64_t at = 0; at < n; at += 1024) {
        const int64_t end = std::min(at + 1024, n);
        V part = L::fill(0);
        int64_t i = at;
        for (; i + L::W <= end; i += L::W) part = part + term(L{}, L::load(x + i), top);
        total += L::total(part);
        for (; i < end; ++i) total += term(One{}, x[i], top1);
      }
    };
    each(sum, [](auto lanes, auto v, auto& peak_) {
      const auto size = decltype(lanes)::magnitude(v);
      peak_ = decltype(lanes)::select(decltype(lanes)::less(peak_, size), size, peak_);
      return v;
    });
    mean = T(sum / double(n));
    each(away, [m = mean](auto lanes, auto v, auto&) { return decltype(lanes)::magnitude(v - decltype(lanes)::fill(m)); });
    peak = top1;
    peak = top1;
    T tops[L::W];
    L::store(tops, top);
    for (const T t : tops) peak = std::max(peak, t);
    most = T(1.01 * away);
    still = rounding_of(peak);
  }
};

template <typename T, bool kIsotropic>
void measure(Problem<T>& im, bool threads, std::vector<RowSums>& rows, const Extent<T>& extent) {
  spread(threads, im.H, grain_for(im.W), [&](int64_t a, int64_t b) {
    for (int64_t i = a; i < b; ++i) {
      const bool last = i + 1 == im.H;
      rows[i] = tv2d_row_sums<CpuLanes<T>, kIsotropic>(
          Image<T>{im.x + i * im.W, im.y + i * im.W, im.right ? im.right + i * (im.W - 1) : nullptr,
                   im.below && !last ? im.below + i * im.W : nullptr, im.lam_right, im.lam_below, int(im.W), last,
                   extent.mean, extent.still});
    }
  });
  RowSums s;
  for (const RowSums& r : rows) s.fidelity += r.fidelity, s.tv += r.tv, s.slope += r.slope;
  im.objective = s.fidelity + s.tv;
  im.gap = std::max(0.0, s.tv - s.slope);
}

// Anisotropic: accelerated Dykstra (Yeh et al. 2022, algorithm 1, with the extrapolation of Chambolle, Tan & Vaiter).
// p and q hold the images D_r^T(row duals) and D_c^T(column duals): x = y + p + q. The sweep over rows minimises over
// the row duals exactly, the one over columns over the column duals; qe is the extrapolated q.
template <typename T>
void dykstra(Problem<T>& im, int64_t max_iter, double tol, bool threads) {
  const int64_t H = im.H, W = im.W, n = H * W;
  std::vector<RowSums> sums(H);
  const Extent<T> extent(im.x, n);
  const T lam_right = std::min(im.lam_right, extent.most), lam_below = std::min(im.lam_below, extent.most);
  Lines<T> rows{H, W, W, 1, &lam_right, 0, im.right, W - 1, 1, true, im.sets, false, extent.peak};
  Lines<T> columns{W, H, 1, W, &lam_below, 0, im.below, 1, W, true, im.sets + size_of_sets<T>(H, W), false, rows.peak};
  const T* x = im.x;
  T *y = im.y, *p = im.p, *q = im.q, *qe = im.qe;
  double t = 1;
  for (int64_t k = 0; k < im.step; ++k) t = next_t(t);
  for (im.iterations = 0; im.iterations < max_iter;) {
    solve_all<T>(
        rows, kDirect, threads,
        [x, qe](auto lanes, int64_t o) { return decltype(lanes)::load(x + o) - decltype(lanes)::load(qe + o); },
        [x, p, qe](auto lanes, int64_t o, auto z) {
          using K = decltype(lanes);
          K::store(p + o, K::load(x + o) - K::load(qe + o) - z);
        });
    const double after = next_t(t);
    const T beta = T((t - 1) / after);
    t = after;
    solve_all<T>(
        columns, kDirect, threads,
        [x, p](auto lanes, int64_t o) { return decltype(lanes)::load(x + o) - decltype(lanes)::load(p + o); },
        [x, y, p, q, qe, beta](auto lanes, int64_t o, auto z) {
          using K = decltype(lanes);
          const auto now = K::load(x + o) - K::load(p + o) - z;
          K::store(qe + o, now + (now - K::load(q + o)) * beta);
          K::store(q + o, now);
          K::store(y + o, z);
        });
    rows.warm = columns.warm = true;
    ++im.iterations;
    ++im.step;
    const bool due = im.step % 5 == 0 || im.step < 4;
    if (im.iterations == max_iter || (tol > 0 && due)) {
      measure<T, false>(im, threads, sums, extent);
      if (im.gap <= tol * im.objective) break;
    }
  }
}

// Isotropic: fast projected gradient on the dual; p and q hold the dual pair itself.
template <typename T>
void projected_gradient(Problem<T>& im, int64_t max_iter, double tol, bool threads) {
  using L = CpuLanes<T>;
  using One = OneLane<T>;
  const int64_t H = im.H, n = im.H * im.W;
  const int W = int(im.W);
  T *pe = im.pe, *qe = im.qe;
  std::vector<RowSums> sums(H);
  const Extent<T> extent(im.x, n);
  const T lam = std::min(im.lam_right, extent.most);
  const auto primal = [&](const T* p, const T* q) {
    spread(threads, H, grain_for(W), [&](int64_t a, int64_t b) {
      for (int64_t i = a; i < b; ++i) {
        const int64_t o = i * W;
        tv2d_primal<One>(im.x + o, p + o, q + o, im.y + o, 0, W, i == 0);
        int j = 1;
        for (; j + L::W <= W; j += L::W) tv2d_primal<L>(im.x + o, p + o, q + o, im.y + o, j, W, i == 0);
        for (; j < W; ++j) tv2d_primal<One>(im.x + o, p + o, q + o, im.y + o, j, W, i == 0);
      }
    });
  };
  double best = -1;
  if (im.step > 0) {  // the dual objective that this goes on from
    primal(im.p, im.q);
    measure<T, true>(im, threads, sums, extent);
    best = im.objective - im.gap;
  }
  for (im.iterations = 0; im.iterations < max_iter;) {
    primal(pe, qe);
    const T beta = T(fgp_momentum(int(++im.step)));
    spread(threads, H, grain_for(W), [&](int64_t a, int64_t b) {
      for (int64_t i = a; i < b; ++i) {
        const int64_t o = i * W;
        const bool last = i + 1 == H;
        int j = 0;
        for (; j + L::W < W; j += L::W)
          tv2d_dual_step<L>(im.y + o, im.p + o, im.q + o, pe + o, qe + o, j, W, true, last,
                                        lam, beta);
        for (; j < W; ++j)
          tv2d_dual_step<One>(im.y + o, im.p + o, im.q + o, pe + o, qe + o, j, W, j + 1 < W,
                                          last, lam, beta);
      }
    });
    ++im.iterations;
    if (im.iterations == max_iter || (tol > 0 && im.iterations % 10 == 0)) {
      primal(im.p, im.q);
      measure<T, true>(im, threads, sums, extent);
      if (im.gap <= tol * im.objective) break;
      const double dual = im.objective - im.gap;
      if (dual < best) {  // the momentum carried it past the maximum: start it anew
        im.step = 0;
        std::copy(im.p, im.p + n, pe);
        std::copy(im.q, im.q + n, qe);
      }
      best = dual;
    }
  }
}

enum Mode { kAnisotropic = 0, kIsotropic = 1 };

// What comes out of prox_tv2d, in the order of its schema. duals: p, q, pe, qe, empty unless they are kept.
struct Solution {
  Tensor y, duals[4], step, gap, objective, iterations;
};

template <typename T>
void prox_tv2d_images(const Tensor& x, const Tensor& right, const Tensor& below, const Tensor* start, bool keep,
                      Solution& out, Mode mode, int64_t max_iter, double tol) {
  const int64_t B = x.size(0), H = x.size(1), W = x.size(2), n = H * W;
  const bool edges = right.dim() == 3, fresh = start[0].numel() == 0;
  const int64_t rn = edges ? H * (W - 1) : 1, bn = edges ? (H - 1) * W : 1;
  const int64_t rstep = right.size(0) > 1 ? rn : 0, bstep = below.size(0) > 1 ? bn : 0;
  const T *px = x.const_data_ptr<T>(), *pr = right.const_data_ptr<T>(), *pb = below.const_data_ptr<T>();
  T* py = out.y.mutable_data_ptr<T>();
  const T* from[4] = {};
  T* kept[4] = {};
  for (int k = 0; k < 4; ++k) {
    if (!fresh) from[k] = start[k].const_data_ptr<T>();
    if (keep) kept[k] = out.duals[k].mutable_data_ptr<T>();
  }
  int64_t *steps = out.step.mutable_data_ptr<int64_t>(), *iterations = out.iterations.mutable_data_ptr<int64_t>();
  double *gap = out.gap.mutable_data_ptr<double>(), *objective = out.objective.mutable_data_ptr<double>();
  // many images: one a thread; few: all threads on each. Either way the sums are taken row by row, so results agree.
  const bool many = B >= int64_t(torch::stable::get_num_threads());
  spread(many, B, 1, [&](int64_t a, int64_t b) {
    // duals that nobody asks for stay with the thread, small ones in its cache; a few lines apart, because fields at
    // a distance of a power of two would push each other out of it
    const int64_t apart = n + 272;
    std::vector<T> own(keep ? 0 : 4 * apart);
    const auto sets = std::make_unique<typename CpuLanes<T>::M[]>(
        mode == kAnisotropic ? size_of_sets<T>(H, W) + size_of_sets<T>(W, H) : 0);
    for (int64_t i = a; i < b; ++i) {
      T* dual[4];
      for (int k = 0; k < 4; ++k) {
        dual[k] = keep ? kept[k] + i * n : own.data() + k * apart;
        if (fresh) std::fill(dual[k], dual[k] + n, T(0));
        else std::copy(from[k] + i * n, from[k] + (i + 1) * n, dual[k]);
      }
      Problem<T> im{H, W, px + i * n, edges ? pr + i * rstep : nullptr, edges ? pb + i * bstep : nullptr,
                    edges ? T(1) : pr[i * rstep], edges ? T(1) : pb[i * bstep],
                    py + i * n, dual[0], dual[1], dual[2], dual[3], steps[i], 0, 0, 0, sets.get()};
      if (mode == kAnisotropic) dykstra<T>(im, max_iter, tol, !many);
      else projected_gradient<T>(im, max_iter, tol, !many);
      gap[i] = im.gap;
      objective[i] = im.objective;
      steps[i] = im.step;
      iterations[i] = im.iterations;
    }
  });
}

std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor> prox_tv2d_cpu(
    Tensor x, Tensor right, Tensor below, Tensor p, Tensor q, Tensor pe, Tensor qe, Tensor step, int64_t mode,
    int64_t max_iter, double tol, bool keep) {
  using torch::stable::contiguous;
  x = contiguous(x);
  right = contiguous(right);
  below = contiguous(below);
  const Tensor start[4] = {contiguous(p), contiguous(q), contiguous(pe), contiguous(qe)};
  const auto numbers = [&](ScalarType type) { return torch::stable::new_zeros(x, {x.size(0)}, type); };
  const auto dual = [&] { return keep ? torch::stable::empty_like(x) : torch::stable::new_zeros(x, {0}); };
  Solution out{torch::stable::empty_like(x), {dual(), dual(), dual(), dual()}, torch::stable::clone(contiguous(step)),
               numbers(ScalarType::Double), numbers(ScalarType::Double), numbers(ScalarType::Long)};
  const auto solve = x.scalar_type() == ScalarType::Double ? prox_tv2d_images<double> : prox_tv2d_images<float>;
  solve(x, right, below, start, keep, out, Mode(mode), max_iter, tol);
  return {out.y, out.duals[0], out.duals[1], out.duals[2], out.duals[3], out.step, out.gap, out.objective,
          out.iterations};
}

// ---- region_mean(values: (B, H, W), right: (B, H, W-1) bool, below: (B, H-1, W) bool) -> (B, H, W) ----

int64_t find_root(std::vector<int64_t>& parent, int64_t i) {
  while (parent[i] != i) {
    parent[i] = parent[parent[i]];
    i = parent[i];
  }
  return i;
}

template <typename T>
void region_mean_images(const Tensor& values, const Tensor& right, const Tensor& below, Tensor& out) {
  const int64_t B = values.size(0), H = values.size(1), W = values.size(2), n = H * W;
  const T* pv = values.const_data_ptr<T>();
  const bool *pr = right.const_data_ptr<bool>(), *pb = below.const_data_ptr<bool>();
  T* po = out.mutable_data_ptr<T>();
  torch::stable::parallel_for(0, B, 1, [&](int64_t first, int64_t last) {
    std::vector<int64_t> parent(n), size(n);
    std::vector<double> sum(n);
    for (int64_t b = first; b < last; ++b) {
      for (int64_t i = 0; i < n; ++i) parent[i] = i, size[i] = 0, sum[i] = 0;
      const auto join = [&](int64_t i, int64_t j) {
        const int64_t r = find_root(parent, i), s = find_root(parent, j);
        parent[std::max(r, s)] = std::min(r, s);
      };
      for (int64_t i = 0; i < H; ++i)
        for (int64_t j = 0; j < W; ++j) {
          if (j + 1 < W && pr[(b * H + i) * (W - 1) + j]) join(i * W + j, i * W + j + 1);
          if (i + 1 < H && pb[(b * (H - 1) + i) * W + j]) join(i * W + j, (i + 1) * W + j);
        }
      for (int64_t i = 0; i < n; ++i) {
        const int64_t r = find_root(parent, i);
        sum[r] += pv[b * n + i];
        ++size[r];
      }
      for (int64_t i = 0; i < n; ++i) {
        const int64_t r = find_root(parent, i);
        po[b * n + i] = T(sum[r] / double(size[r]));
      }
    }
  });
}

Tensor region_mean_cpu(Tensor values, Tensor right, Tensor below) {
  values = torch::stable::contiguous(values);
  right = torch::stable::contiguous(right);
  below = torch::stable::contiguous(below);
  Tensor out = torch::stable::empty_like(values);
  if (values.scalar_type() == ScalarType::Double) region_mean_images<double>(values, right, below, out);
  else region_mean_images<float>(values, right, below, out);
  return out;
}

}  // namespace nsz

STABLE_TORCH_LIBRARY_IMPL(nsz, CPU, m) {
  m.impl("prox_tv2d", TORCH_BOX(&nsz::prox_tv2d_cpu));
  m.impl("region_mean", TORCH_BOX(&nsz::region_mean_cpu));
}
