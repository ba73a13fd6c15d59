// Convolutions by oneDNN as foreign functions of XLA: images (n, h, w, c), kernels (kh, kw, c / groups, o), undilated.
//
// One bilinear form, three functions: from images and kernel to outputs, from outputs and kernel to images, from images
// and outputs to the kernel. `window` is strides (2), padding above and on the left (2), and groups. The arrays stay in
// XLA's layout; oneDNN may reorder a kernel. `cells`, 2 or 3: minimal filtering with windows of as many cells a side,
// whose products are oneDNN's; 0: its own convolution.
//
// XLA's threads share the images of a batch, or the tiles of minimal filtering, each with oneDNN on one thread, because
// threads of OpenMP would wait for those of XLA. Where there are fewer images than threads, or kernels to sum that are
// larger than the images, oneDNN divides the work among OpenMP's.

#include <omp.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "oneapi/dnnl/dnnl.hpp"
#include "xla/ffi/api/ffi.h"

namespace ffi = xla::ffi;
using dnnl::convolution_backward_data;
using dnnl::convolution_backward_weights;
using dnnl::convolution_forward;
using dnnl::memory;
using tag = memory::format_tag;
using Dims = std::vector<int64_t>;

enum Part { kImage, kKernel, kOutput };
constexpr int kArguments[3][3] = {{DNNL_ARG_DIFF_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DIFF_DST},
                                  {DNNL_ARG_SRC, DNNL_ARG_DIFF_WEIGHTS, DNNL_ARG_DIFF_DST},
                                  {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST}};

dnnl::engine& Engine() {
  static dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

// A primitive, with its three arrays as XLA has them and as the primitive wants them.
struct Convolution {
  memory::desc given[3], wanted[3];
  dnnl::primitive primitive;
  dnnl::reorder reorder[3];
};

const auto kDirect = dnnl::algorithm::convolution_direct;

template <typename Described>
dnnl::primitive Choose(const Described& chosen, memory::desc* wanted, memory::desc image, memory::desc kernel,
                       memory::desc output) {
  wanted[kImage] = image, wanted[kKernel] = kernel, wanted[kOutput] = output;
  return dnnl::primitive(chosen);
}

Convolution Make(Part result, memory::data_type type, const Dims& x, const Dims& w, const Dims& y,
                 const Dims& window) {
  const int64_t groups = window[4];
  const memory::dims image = {x[0], x[3], x[1], x[2]}, output = {y[0], y[3], y[1], y[2]};
  const memory::dims kernel = groups > 1 ? memory::dims{groups, w[3] / groups, w[2], w[0], w[1]}
                                         : memory::dims{w[3], w[2], w[0], w[1]};
  const memory::dims strides = {window[0], window[1]}, low = {window[2], window[3]};
  memory::dims high;
  for (int i = 0; i < 2; i++)  // of pixels that no window reaches, none
    high.push_back(std::max<int64_t>(0, (y[1 + i] - 1) * strides[i] + w[i] - x[1 + i] - low[i]));

  Convolution made;
  made.given[kImage] = {image, type, tag::nhwc};
  made.given[kKernel] = {kernel, type, groups > 1 ? tag::hwigo : tag::hwio};
  made.given[kOutput] = {output, type, tag::nhwc};
  const memory::desc &s = made.given[kImage], &d = made.given[kOutput], k(kernel, type, tag::any);
  const convolution_forward::primitive_desc forward(
      Engine(), dnnl::prop_kind::forward_training, kDirect, s, k, d, strides, low, high);
  if (result == kOutput) {
    made.primitive = Choose(forward, made.wanted, forward.src_desc(), forward.weights_desc(), forward.dst_desc());
  } else if (result == kImage) {
    const convolution_backward_data::primitive_desc back(Engine(), kDirect, s, k, d, strides, low, high, forward);
    made.primitive = Choose(back, made.wanted, back.diff_src_desc(), back.weights_desc(), back.diff_dst_desc());
  } else {
    const convolution_backward_weights::primitive_desc back(Engine(), kDirect, s, k, d, strides, low, high, forward);
    made.primitive = Choose(back, made.wanted, back.src_desc(), back.diff_weights_desc(), back.diff_dst_desc());
  }
  for (int part : {kImage, kKernel, kOutput}) {
    const memory::desc &from = part == result ? made.wanted[part] : made.given[part],
                       &to = part == result ? made.given[part] : made.wanted[part];
    if (from != to) made.reorder[part] = dnnl::reorder({Engine(), from, Engine(), to});
  }
  return made;
}

// A call: the arrays, and what they are. The first dimension of images and outputs is the batch.
struct Call {
  Part result;
  memory::data_type type;
  Dims dims[3], window;
  char* data[3];

  int64_t Count(Part part) const {
    int64_t n = 1;
    for (int64_t d : dims[part]) n *= d;
    return n;
  }
  int64_t Bytes(Part part) const { return Count(part) * memory::data_type_size(type); }
};

// The primitive for these shapes, made once for each thread that calls.
Convolution& Find(const Call& call, int threads) {
  static thread_local std::map<Dims, Convolution> made;
  Dims key = {call.result, static_cast<int64_t>(call.type), threads};
  for (const Dims* dims : {&call.dims[0], &call.dims[1], &call.dims[2], &call.window})
    key.insert(key.end(), dims->begin(), dims->end());
  auto found = made.find(key);
  if (found == made.end())
    found = made.emplace(key, Make(call.result, call.type, call.dims[kImage], call.dims[kKernel], call.dims[kOutput],
                                   call.window)).first;
  return found->second;
}

void Compute(const Call& call, int threads) {
  omp_set_num_threads(threads);
  Convolution& made = Find(call, threads);
  dnnl::stream stream(Engine());
  std::unordered_map<int, memory> arguments;
  const Part result = call.result;
  for (int part : {kImage, kKernel, kOutput}) {
    memory given(made.given[part], Engine(), call.data[part]);
    memory wanted = made.reorder[part] ? memory(made.wanted[part], Engine()) : given;
    if (made.reorder[part] && part != result) made.reorder[part].execute(stream, given, wanted);
    arguments.emplace(kArguments[result][part], wanted);
  }
  made.primitive.execute(stream, arguments);
  if (made.reorder[result]) {
    memory given(made.given[result], Engine(), call.data[result]);
    made.reorder[result].execute(stream, arguments.at(kArguments[result][result]), given);
  }
  stream.wait();
}

// work(0) to work(n - 1) by this thread and those of the pool that are free. The error of any, or "".
template <typename Work>
std::string Parallel(ffi::ThreadPool& pool, int n, const Work& work) {
  struct Shared {
    std::atomic<int> next{0}, done{0};
    std::mutex lock;
    std::string error;
  };
  auto shared = std::make_shared<Shared>();
  auto run = [shared, n, &work] {  // one that begins late finds nothing to do, and does not touch `work`
    for (int i; (i = shared->next++) < n; shared->done++) {
      try {
        work(i);
      } catch (const std::exception& e) {
        std::lock_guard<std::mutex> guard(shared->lock);
        shared->error = e.what();
      }
    }
  };
  const int helpers = std::min<int64_t>(n, pool.num_threads()) - 1;  // this thread works too
  for (int i = 0; i < helpers; i++) pool.Schedule([run] { run(); });
  run();
  while (shared->done < n) std::this_thread::yield();
  return shared->error;
}

// Minimal filtering (Winograd 1980; Lavin & Gray 2016, eq. 5-9): outputs in tiles of 2x2, windows of R x R cells of as
// many pixels as the stride, R = 2 or 3. Images, kernel and outputs are taken to N x N planes, N = R + 1, and there a
// convolution is N * N products of matrices, which together are 9 / 16 or 16 / 36 of the direct one's. The derivatives
// are of the same form. 16 channels at a time.
typedef float Lanes __attribute__((vector_size(64), aligned(4), may_alias));
constexpr int kLanes = 16;

template <int R>
struct Filter;  // y = Outputs(Kernel(w) * Inputs(x)); Spread and Gather are the transposes of Outputs and Kernel

template <>
struct Filter<2> {
  static void Inputs(const Lanes* x, Lanes* v) { v[0] = x[0] - x[1], v[1] = x[1], v[2] = x[1] - x[2]; }
  static void Outputs(const Lanes* m, Lanes* y) { y[0] = m[0] + m[1], y[1] = m[1] - m[2]; }
  static void Spread(const Lanes* y, Lanes* m) { m[0] = y[0], m[1] = y[0] + y[1], m[2] = -y[1]; }
  static void Kernel(const Lanes* w, Lanes* u) { u[0] = w[0], u[1] = w[0] + w[1], u[2] = w[1]; }
  static void Gather(const Lanes* u, Lanes* w) { w[0] = u[0] + u[1], w[1] = u[1] + u[2]; }
};

template <>
struct Filter<3> {
  static void Inputs(const Lanes* x, Lanes* v) {
    v[0] = x[0] - x[2], v[1] = x[1] + x[2], v[2] = x[2] - x[1], v[3] = x[1] - x[3];
  }
  static void Outputs(const Lanes* m, Lanes* y) { y[0] = m[0] + m[1] + m[2], y[1] = m[1] - m[2] - m[3]; }
  static void Spread(const Lanes* y, Lanes* m) {
    m[0] = y[0], m[1] = y[0] + y[1], m[2] = y[0] - y[1], m[3] = -y[1];
  }
  static void Kernel(const Lanes* w, Lanes* u) {
    const Lanes even = (w[0] + w[2]) * 0.5f, odd = w[1] * 0.5f;
    u[0] = w[0], u[1] = even + odd, u[2] = even - odd, u[3] = w[2];
  }
  static void Gather(const Lanes* u, Lanes* w) {
    const Lanes even = (u[1] + u[2]) * 0.5f;
    w[0] = u[0] + even, w[1] = (u[1] - u[2]) * 0.5f, w[2] = even + u[3];
  }
};

const std::vector<float> kZeros(1 << 14);  // a pixel outside of an image or a tap outside of a kernel; no more channels

// Map along rows and columns: squares of From x From vectors of `size` floats to squares of To x To. None: not written.
template <int From, int To, void (*Map)(const Lanes*, Lanes*)>
void Both(const float* const (&from)[From][From], float* const (&to)[To][To], int64_t size) {
  for (int64_t c = 0; c < size; c += kLanes) {
    Lanes half[From][To], column[From], mapped[To];
    for (int i = 0; i < From; i++) {
      Lanes row[From];
      for (int j = 0; j < From; j++) row[j] = *reinterpret_cast<const Lanes*>(from[i][j] + c);
      Map(row, half[i]);
    }
    for (int j = 0; j < To; j++) {
      for (int i = 0; i < From; i++) column[i] = half[i][j];
      Map(column, mapped);
      for (int i = 0; i < To; i++)
        if (to[i][j]) *reinterpret_cast<Lanes*>(to[i][j] + c) = mapped[i];
    }
  }
}

// N x N matrices of `rows` x `columns`.
template <int N>
struct Planes {
  float* data;
  int64_t rows, columns;

  static int64_t Size(int64_t rows, int64_t columns) { return N * N * rows * columns; }
  int64_t Plane() const { return rows * columns; }
  void At(int64_t row, int64_t column, float* (&found)[N][N]) const {
    for (int i = 0; i < N; i++)
      for (int j = 0; j < N; j++) found[i][j] = data + (i * N + j) * Plane() + row * columns + column;
  }
};

// Images as tiles: pixel (i, j) of a tile in row p and column q is at step * (2 p + i, 2 q + j) + start; none outside.
struct Tiled {
  float* data;
  int64_t height, width, channels, step, start[2];

  float* Pixel(int64_t image, int64_t y, int64_t x) const {
    y = step * y + start[0], x = step * x + start[1];
    if (y < 0 || y >= height || x < 0 || x >= width) return nullptr;
    return data + ((image * height + y) * width + x) * channels;
  }
};

struct Tiles {
  int64_t images, rows, columns;

  int64_t Count() const { return images * rows * columns; }
  template <int Side>
  void Of(const Tiled& from, int64_t tile, float* (&pixels)[Side][Side]) const {
    const int64_t row = tile / columns, column = tile - row * columns, image = row / rows;
    for (int i = 0; i < Side; i++)
      for (int j = 0; j < Side; j++)
        pixels[i][j] = image < images ? from.Pixel(image, 2 * (row - image * rows) + i, 2 * column + j) : nullptr;
  }
};

// The tiles from `first` on as rows of planes, from `column` on; zeros after the last tile.
template <int Side, int N, void (*Map)(const Lanes*, Lanes*)>
void Read(const Tiles& tiles, int64_t first, const Tiled& from, const Planes<N>& to, int64_t column) {
  for (int64_t row = 0; row < to.rows; row++) {
    float *pixels[Side][Side], *found[N][N];
    const float* read[Side][Side];
    tiles.Of(from, first + row, pixels);
    for (int i = 0; i < Side; i++)
      for (int j = 0; j < Side; j++) read[i][j] = pixels[i][j] ? pixels[i][j] : kZeros.data();
    to.At(row, column, found);
    Both<Side, N, Map>(read, found, from.channels);
  }
}

// Rows of planes as outputs of the tiles from `first` on.
template <int R>
void Write(const Tiles& tiles, int64_t first, const Planes<R + 1>& from, const Tiled& to) {
  for (int64_t row = 0; row < from.rows && first + row < tiles.Count(); row++) {
    float *pixels[2][2], *found[R + 1][R + 1];
    const float* read[R + 1][R + 1];
    tiles.Of(to, first + row, pixels);
    from.At(row, 0, found);
    std::copy(&found[0][0], &found[0][0] + (R + 1) * (R + 1), &read[0][0]);
    Both<R + 1, 2, Filter<R>::Outputs>(read, pixels, to.channels);
  }
}

// Matrices by their size, the first dimension that of the planes, and strides.
struct Matrices {
  float* data;
  memory::dims dims, strides;
};

template <int N>
Matrices Whole(const Planes<N>& p) { return {p.data, {N * N, p.rows, p.columns}, {p.Plane(), p.columns, 1}}; }

// `size` columns of them from `first` on; rows likewise.
Matrices Columns(Matrices m, int64_t first, int64_t size) {
  m.data += first * m.strides[2], m.dims[2] = size;
  return m;
}

Matrices Rows(Matrices m, int64_t first, int64_t size) {
  m.data += first * m.strides[1], m.dims[1] = size;
  return m;
}

Matrices Transposed(Matrices m) {
  std::swap(m.dims[1], m.dims[2]), std::swap(m.strides[1], m.strides[2]);
  return m;
}

// c = a b or, summed, c += a b.
void Multiply(const Matrices& a, const Matrices& b, const Matrices& c, bool summed) {
  static thread_local std::map<Dims, dnnl::matmul> made;
  const Matrices* all[3] = {&a, &b, &c};
  memory::desc described[3];
  Dims key = {summed};
  for (int i = 0; i < 3; i++) {
    described[i] = {all[i]->dims, memory::data_type::f32, all[i]->strides};
    for (const memory::dims* told : {&all[i]->dims, &all[i]->strides})
      key.insert(key.end(), told->begin(), told->end());
  }
  auto found = made.find(key);
  if (found == made.end()) {
    dnnl::post_ops after;
    if (summed) after.append_sum(1.0f);
    dnnl::primitive_attr attributes;
    attributes.set_post_ops(after);
    const dnnl::matmul::primitive_desc chosen(Engine(), described[0], described[1], described[2], attributes);
    found = made.emplace(key, dnnl::matmul(chosen)).first;
  }
  dnnl::stream stream(Engine());
  found->second.execute(stream, {{DNNL_ARG_SRC, memory(described[0], Engine(), a.data)},
                                 {DNNL_ARG_WEIGHTS, memory(described[1], Engine(), b.data)},
                                 {DNNL_ARG_DST, memory(described[2], Engine(), c.data)}});
  stream.wait();
}

template <int R>
class Minimal {
  static constexpr int N = R + 1;
  ffi::ThreadPool& pool_;
  const Call& call_;
  const int threads_;
  const Dims &x_ = call_.dims[kImage], &w_ = call_.dims[kKernel], &y_ = call_.dims[kOutput];
  const int64_t step_ = call_.window[0], groups_ = call_.window[4];  // with groups the step is 1
  const int64_t c_ = w_[2], o_ = w_[3] / groups_, all_c_ = groups_ * c_, all_o_ = w_[3];
  const int64_t kernel_rows_ = step_ * step_ * c_, cells_ = step_ * step_ * all_c_;

  static float* Scratch(int use, int64_t size) {  // of this thread
    static thread_local std::vector<float> kept[4];
    if (kept[use].size() < static_cast<size_t>(size)) kept[use].resize(size);
    return kept[use].data();
  }

  float* Data(Part part) const { return reinterpret_cast<float*>(call_.data[part]); }

  // Pixel (row, column) of each cell of the images, as a convolution reads them.
  Tiled Cells(int64_t row, int64_t column) const {
    return {Data(kImage), x_[1], x_[2], all_c_, step_, {row - call_.window[2], column - call_.window[3]}};
  }

  Tiled Outputs() const { return {Data(kOutput), y_[1], y_[2], all_o_, 1, {0, 0}}; }
  Tiles OutputTiles() const { return {y_[0], (y_[1] + 1) / 2, (y_[2] + 1) / 2}; }

  // Rows of a block of tiles: `columns` numbers of each plane for one of them; the block stays in the cache. Odd, so
  // that a row's N * N places are not all in the same set of it.
  int64_t BlockRows(int64_t tiles, int64_t columns, int64_t most) const {
    const int64_t fair = std::max<int64_t>(16, (tiles + threads_ - 1) / threads_), fitting = most / (N * N * columns);
    return std::min(fair, std::max<int64_t>(64, std::min<int64_t>(fitting, 256))) | 1;
  }

  // The taps of pixel (row, column) of each cell, their channels from `channel` on.
  void Taps(float* kernel, int64_t row, int64_t column, int64_t channel, bool reversed, float* (&taps)[R][R]) const {
    for (int i = 0; i < R; i++)
      for (int j = 0; j < R; j++) {
        const int64_t y = step_ * (reversed ? R - 1 - i : i) + row, x = step_ * (reversed ? R - 1 - j : j) + column;
        taps[i][j] = y < w_[0] && x < w_[1] ? kernel + (y * w_[1] + x) * c_ * all_o_ + channel : nullptr;
      }
  }

  // visit(row, column, r, number) for the `rows` of each pixel of a cell, `number` that of all, by all threads.
  template <typename Visit>
  std::string EachRow(int64_t rows, const Visit& visit) const {
    const int64_t all = step_ * step_ * rows;
    return Parallel(pool_, threads_, [&](int i) {
      for (int64_t r = all * i / threads_; r < all * (i + 1) / threads_; r++)
        visit(r / rows / step_, r / rows % step_, r % rows, r);
    });
  }

  // The planes of a kernel (., ., rows, columns).
  std::string Kernels(float* kernel, int64_t rows, int64_t columns, bool reversed, const Planes<N>& to) const {
    return EachRow(rows, [&](int64_t row, int64_t column, int64_t r, int64_t number) {
      float *taps[R][R], *found[N][N];
      const float* read[R][R];
      Taps(kernel, row, column, r * columns, reversed, taps);
      for (int i = 0; i < R; i++)
        for (int j = 0; j < R; j++) read[i][j] = taps[i][j] ? taps[i][j] : kZeros.data();
      to.At(number, 0, found);
      Both<R, N, Filter<R>::Kernel>(read, found, columns);
    });
  }

  // The kernel (kh, kw, o, c), of which a kernel (kh, kw, c, o) is the transpose.
  float* Swapped() const {
    float* const swapped = Scratch(3, call_.Count(kKernel));
    Parallel(pool_, w_[0] * w_[1], [&](int tap) {
      const float* from = Data(kKernel) + tap * c_ * all_o_;
      float* to = swapped + tap * c_ * all_o_;
      for (int64_t c = 0; c < c_; c += kLanes)
        for (int64_t o = 0; o < all_o_; o += kLanes)
          for (int64_t i = 0; i < kLanes; i++)
            for (int64_t j = 0; j < kLanes; j++) to[(o + i) * c_ + c + j] = from[(c + j) * all_o_ + o + i];
    });
    return swapped;
  }

  std::string Output() const {
    const Planes<N> kernel{Scratch(0, Planes<N>::Size(kernel_rows_, all_o_)), kernel_rows_, all_o_};
    std::string error = Kernels(Data(kKernel), c_, all_o_, false, kernel);
    if (!error.empty()) return error;
    const Tiles tiles = OutputTiles();
    const int64_t rows = BlockRows(tiles.Count(), cells_ + all_o_, 1 << 17);
    return Parallel(pool_, (tiles.Count() + rows - 1) / rows, [&](int i) {
      omp_set_num_threads(1);
      const Planes<N> in{Scratch(1, Planes<N>::Size(rows, cells_)), rows, cells_},
          out{Scratch(2, Planes<N>::Size(rows, all_o_)), rows, all_o_};
      for (int64_t cell = 0; cell < step_ * step_; cell++)
        Read<N, N, Filter<R>::Inputs>(tiles, i * rows, Cells(cell / step_, cell % step_), in, cell * all_c_);
      for (int64_t g = 0; g < groups_; g++)
        Multiply(Columns(Whole(in), g * kernel_rows_, kernel_rows_), Columns(Whole(kernel), g * o_, o_),
                 Columns(Whole(out), g * o_, o_), false);
      Write<R>(tiles, i * rows, out, Outputs());
    });
  }

  // Each pixel of the cells is a convolution of the outputs with the reversed taps of that pixel.
  std::string Image() const {
    const int64_t all = step_ * step_ * all_o_;
    const Planes<N> kernel{Scratch(0, Planes<N>::Size(all, c_)), all, c_};
    std::string error = Kernels(Swapped(), all_o_, c_, true, kernel);
    if (!error.empty()) return error;
    struct Cell {
      Tiles tiles;
      Tiled from, to;
    };
    std::vector<Cell> cells;
    int64_t most = 0;
    for (int64_t cell = 0; cell < step_ * step_; cell++) {
      Tiled to = Cells(cell / step_, cell % step_), from = Outputs();
      int64_t sides[2];
      for (int axis = 0; axis < 2; axis++) {
        const int64_t before = (std::max<int64_t>(0, -to.start[axis]) + step_ - 1) / step_;  // cells outside
        to.start[axis] += step_ * before;
        from.start[axis] = before - (R - 1);
        sides[axis] = std::max<int64_t>(0, (x_[1 + axis] - to.start[axis] + step_ - 1) / step_);
      }
      cells.push_back({{x_[0], (sides[0] + 1) / 2, (sides[1] + 1) / 2}, from, to});
      most = std::max(most, cells.back().tiles.Count());
    }
    const int64_t rows = BlockRows(most, all_c_ + all_o_, 1 << 17), blocks = (most + rows - 1) / rows;
    return Parallel(pool_, blocks * step_ * step_, [&](int i) {
      omp_set_num_threads(1);
      const int64_t number = i / blocks, first = i % blocks * rows;
      const Cell& cell = cells[number];
      if (first >= cell.tiles.Count()) return;
      const Planes<N> in{Scratch(1, Planes<N>::Size(rows, all_o_)), rows, all_o_},
          out{Scratch(2, Planes<N>::Size(rows, all_c_)), rows, all_c_};
      Read<N, N, Filter<R>::Inputs>(cell.tiles, first, cell.from, in, 0);
      for (int64_t g = 0; g < groups_; g++)
        Multiply(Columns(Whole(in), g * o_, o_), Rows(Whole(kernel), number * all_o_ + g * o_, o_),
                 Columns(Whole(out), g * c_, c_), false);
      Write<R>(cell.tiles, first, out, cell.to);
    });
  }

  std::string Kernel() const {
    const Tiles tiles = OutputTiles();
    const int64_t size = Planes<N>::Size(kernel_rows_, all_o_);
    const int64_t rows = BlockRows(tiles.Count(), cells_ + all_o_, std::max<int64_t>(1 << 18, size));
    float* const sums = Scratch(0, size * threads_);
    std::string error = Parallel(pool_, threads_, [&](int i) {
      omp_set_num_threads(1);
      const int64_t blocks = (tiles.Count() + rows - 1) / rows, begin = blocks * i / threads_;
      const Planes<N> in{Scratch(1, Planes<N>::Size(rows, cells_)), rows, cells_},
          out{Scratch(2, Planes<N>::Size(rows, all_o_)), rows, all_o_}, sum{sums + size * i, kernel_rows_, all_o_};
      const int64_t end = blocks * (i + 1) / threads_;
      if (begin == end) std::fill(sum.data, sum.data + size, 0.0f);
      for (int64_t block = begin; block < end; block++) {
        for (int64_t cell = 0; cell < step_ * step_; cell++)
          Read<N, N, Filter<R>::Inputs>(tiles, block * rows, Cells(cell / step_, cell % step_), in, cell * all_c_);
        Read<2, N, Filter<R>::Spread>(tiles, block * rows, Outputs(), out, 0);
        for (int64_t g = 0; g < groups_; g++)
          Multiply(Transposed(Columns(Whole(in), g * kernel_rows_, kernel_rows_)), Columns(Whole(out), g * o_, o_),
                   Columns(Whole(sum), g * o_, o_), block > begin);
      }
    });
    if (!error.empty()) return error;
    return EachRow(c_, [&](int64_t row, int64_t column, int64_t c, int64_t r) {
      float *taps[R][R], *found[N][N];
      const float* read[N][N];
      Planes<N>{sums, kernel_rows_, all_o_}.At(r, 0, found);
      for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
          for (int k = 1; k < threads_; k++)
            for (int64_t o = 0; o < all_o_; o++) found[i][j][o] += found[i][j][o + size * k];
          read[i][j] = found[i][j];
        }
      Taps(Data(kKernel), row, column, c * all_o_, false, taps);
      Both<N, R, Filter<R>::Gather>(read, taps, all_o_);
    });
  }

 public:
  Minimal(ffi::ThreadPool& pool, const Call& call, int threads) : pool_(pool), call_(call), threads_(threads) {}

  // Whether each thread's sum of a kernel's planes is larger than what it sums: there are many threads.
  bool Crowded() const {
    return call_.result == kKernel &&
           threads_ * kernel_rows_ * all_o_ > 4 * OutputTiles().Count() * (cells_ + all_o_);
  }

  std::string Run() const {
    return call_.result == kOutput ? Output() : call_.result == kImage ? Image() : Kernel();
  }
};

ffi::Error Failure(const std::string& error) {
  return error.empty() ? ffi::Error::Success() : ffi::Error::Internal("oneDNN: " + error);
}

ffi::Error Run(ffi::ThreadPool& pool, Part result, ffi::AnyBuffer x, ffi::AnyBuffer w, ffi::AnyBuffer y,
               ffi::Span<const int64_t> window, int64_t cells) {
  const bool half = x.element_type() == ffi::DataType::BF16;
  Call call{result, half ? memory::data_type::bf16 : memory::data_type::f32, {}, {window.begin(), window.end()}, {}};
  const ffi::AnyBuffer* buffers[] = {&x, &w, &y};
  for (int part : {kImage, kKernel, kOutput}) {
    call.dims[part].assign(buffers[part]->dimensions().begin(), buffers[part]->dimensions().end());
    call.data[part] = static_cast<char*>(buffers[part]->untyped_data());
  }
  const int64_t n = call.dims[kImage][0], size = call.Count(kKernel);
  const int threads = std::max<int64_t>(1, pool.num_threads());
  const Minimal<2> two(pool, call, threads);
  const Minimal<3> three(pool, call, threads);
  if (cells == 2 && !two.Crowded()) return Failure(two.Run());
  if (cells == 3 && !three.Crowded()) return Failure(three.Run());
  const bool summed = result == kKernel;  // in float32, so not of bfloat16
  const bool whole = n < threads || (summed && (half || call.Count(kImage) + call.Count(kOutput) < threads * size));
  if (whole || threads == 1) {
    try {
      Compute(call, threads);
    } catch (const std::exception& e) {
      return Failure(e.what());
    }
    return ffi::Error::Success();
  }
  static thread_local std::vector<float> parts;  // of this call's kernels, of all threads but the first
  if (summed) parts.resize(size * (threads - 1));
  float* const further = parts.data();
  std::string error = Parallel(pool, threads, [&](int i) {
    Call part = call;
    const int64_t from = n * i / threads;
    for (Part images : {kImage, kOutput}) {
      part.dims[images][0] = n * (i + 1) / threads - from;
      part.data[images] += call.Bytes(images) / n * from;
    }
    if (summed && i) part.data[kKernel] = reinterpret_cast<char*>(further + size * (i - 1));
    Compute(part, 1);
  });
  if (summed && error.empty()) {
    float* const out = reinterpret_cast<float*>(call.data[kKernel]);
    Parallel(pool, threads, [&](int i) {
      for (int k = 0; k < threads - 1; k++)
        for (int64_t j = size * i / threads; j < size * (i + 1) / threads; j++) out[j] += further[k * size + j];
    });
  }
  return Failure(error);
}

ffi::Error Image(ffi::ThreadPool pool, ffi::AnyBuffer y, ffi::AnyBuffer w, ffi::Result<ffi::AnyBuffer> x,
                 ffi::Span<const int64_t> window, int64_t cells) {
  return Run(pool, kImage, *x, w, y, window, cells);
}

ffi::Error Kernel(ffi::ThreadPool pool, ffi::AnyBuffer x, ffi::AnyBuffer y, ffi::Result<ffi::AnyBuffer> w,
                  ffi::Span<const int64_t> window, int64_t cells) {
  return Run(pool, kKernel, x, *w, y, window, cells);
}

ffi::Error Output(ffi::ThreadPool pool, ffi::AnyBuffer x, ffi::AnyBuffer w, ffi::Result<ffi::AnyBuffer> y,
                  ffi::Span<const int64_t> window, int64_t cells) {
  return Run(pool, kOutput, x, w, *y, window, cells);
}

// Two copies for trees of many arrays (gen/flat.py), in float32: a row of the flat array holds one row of each part, one
// after the other; rows are what leading axes of all have. Threads share the flat array's bytes.
struct Parts {
  std::vector<char*> data;
  std::vector<int64_t> ends{0};  // of a row of each part, in bytes

  void Add(const ffi::AnyBuffer& part, int64_t rows) {
    data.push_back(static_cast<char*>(part.untyped_data()));
    ends.push_back(ends.back() + part.size_bytes() / std::max<int64_t>(1, rows));
  }
};

int64_t Rows(const ffi::AnyBuffer& flat) {
  return flat.element_count() ? flat.element_count() / flat.dimensions().back() : 0;
}

ffi::Error Copy(ffi::ThreadPool& pool, const ffi::AnyBuffer& flat, const Parts& parts, bool pack) {
  char* const whole = static_cast<char*>(flat.untyped_data());
  const int64_t row = parts.ends.back(), threads = std::max<int64_t>(1, pool.num_threads());
  return Failure(Parallel(pool, threads, [&](int thread) {
    const int64_t begin = row * thread / threads, end = row * (thread + 1) / threads;
    for (size_t i = 0; i < parts.data.size(); i++) {
      const int64_t first = parts.ends[i], from = std::max(first, begin), to = std::min(parts.ends[i + 1], end);
      for (int64_t r = 0; from < to && r < Rows(flat); r++) {
        char* const part = parts.data[i] + r * (parts.ends[i + 1] - first) + from - first;
        char* const there = whole + r * row + from;
        std::memcpy(pack ? there : part, pack ? part : there, to - from);
      }
    }
  }));
}

ffi::Error Pack(ffi::ThreadPool pool, ffi::RemainingArgs arrays, ffi::Result<ffi::AnyBuffer> flat) {
  Parts parts;
  for (size_t i = 0; i < arrays.size(); i++) parts.Add(*arrays.get<ffi::AnyBuffer>(i), Rows(*flat));
  return Copy(pool, *flat, parts, true);
}

ffi::Error Unpack(ffi::ThreadPool pool, ffi::AnyBuffer flat, ffi::RemainingRets arrays) {
  Parts parts;
  for (size_t i = 0; i < arrays.size(); i++) parts.Add(**arrays.get<ffi::AnyBuffer>(i), Rows(flat));
  return Copy(pool, flat, parts, false);
}

#define BINDING                                                                        \
  ffi::Ffi::Bind().Ctx<ffi::ThreadPool>().Arg<ffi::AnyBuffer>().Arg<ffi::AnyBuffer>() \
      .Ret<ffi::AnyBuffer>().Attr<ffi::Span<const int64_t>>("window").Attr<int64_t>("cells")
XLA_FFI_DEFINE_HANDLER_SYMBOL(gen_convolution_image, Image, BINDING);
XLA_FFI_DEFINE_HANDLER_SYMBOL(gen_convolution_kernel, Kernel, BINDING);
XLA_FFI_DEFINE_HANDLER_SYMBOL(gen_convolution_output, Output, BINDING);
XLA_FFI_DEFINE_HANDLER_SYMBOL(
    gen_pack, Pack, ffi::Ffi::Bind().Ctx<ffi::ThreadPool>().RemainingArgs().Ret<ffi::AnyBuffer>());
XLA_FFI_DEFINE_HANDLER_SYMBOL(
    gen_unpack, Unpack, ffi::Ffi::Bind().Ctx<ffi::ThreadPool>().Arg<ffi::AnyBuffer>().RemainingRets());
