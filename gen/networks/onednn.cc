// Convolutions of oneDNN as foreign functions of XLA: images (n, h, w, c), kernels (kh, kw, c / groups, o), no dilation.
//
// One bilinear form, three functions: from images and kernel to outputs, from outputs and kernel to images, from images
// and outputs to the kernel. `window` is strides (2), padding above and on the left (2), and groups. The arrays stay in
// XLA's layout; oneDNN may reorder a kernel.
//
// XLA's threads share the images of a batch, each with oneDNN on one thread, because threads of OpenMP would wait for
// those of XLA. Where there are fewer images than threads, or kernels to sum that are larger than the images, oneDNN
// divides the work among OpenMP's.

#include <omp.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
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
  for (int i = 1; i < n; i++) pool.Schedule([run] { run(); });
  run();
  while (shared->done < n) std::this_thread::yield();
  return shared->error;
}

ffi::Error Run(ffi::ThreadPool& pool, Part result, ffi::AnyBuffer x, ffi::AnyBuffer w, ffi::AnyBuffer y,
               ffi::Span<const int64_t> window) {
  const bool half = x.element_type() == ffi::DataType::BF16;
  Call call{result, half ? memory::data_type::bf16 : memory::data_type::f32, {}, {window.begin(), window.end()}, {}};
  const ffi::AnyBuffer* buffers[] = {&x, &w, &y};
  for (int part : {kImage, kKernel, kOutput}) {
    call.dims[part].assign(buffers[part]->dimensions().begin(), buffers[part]->dimensions().end());
    call.data[part] = static_cast<char*>(buffers[part]->untyped_data());
  }
  const int64_t n = call.dims[kImage][0], size = call.Count(kKernel);
  const int threads = std::max<int64_t>(1, pool.num_threads());
  const bool summed = result == kKernel;  // in float32, so not of bfloat16
  const bool whole = n < threads || (summed && (half || call.Count(kImage) + call.Count(kOutput) < threads * size));
  if (whole || threads == 1) {
    try {
      Compute(call, threads);
    } catch (const std::exception& e) {
      return ffi::Error::Internal(std::string("oneDNN: ") + e.what());
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
  return error.empty() ? ffi::Error::Success() : ffi::Error::Internal("oneDNN: " + error);
}

ffi::Error Image(ffi::ThreadPool pool, ffi::AnyBuffer y, ffi::AnyBuffer w, ffi::Result<ffi::AnyBuffer> x,
                 ffi::Span<const int64_t> window) {
  return Run(pool, kImage, *x, w, y, window);
}

ffi::Error Kernel(ffi::ThreadPool pool, ffi::AnyBuffer x, ffi::AnyBuffer y, ffi::Result<ffi::AnyBuffer> w,
                  ffi::Span<const int64_t> window) {
  return Run(pool, kKernel, x, *w, y, window);
}

ffi::Error Output(ffi::ThreadPool pool, ffi::AnyBuffer x, ffi::AnyBuffer w, ffi::Result<ffi::AnyBuffer> y,
                  ffi::Span<const int64_t> window) {
  return Run(pool, kOutput, x, w, *y, window);
}

#define BINDING                                                                        \
  ffi::Ffi::Bind().Ctx<ffi::ThreadPool>().Arg<ffi::AnyBuffer>().Arg<ffi::AnyBuffer>() \
      .Ret<ffi::AnyBuffer>().Attr<ffi::Span<const int64_t>>("window")
XLA_FFI_DEFINE_HANDLER_SYMBOL(gen_convolution_image, Image, BINDING);
XLA_FFI_DEFINE_HANDLER_SYMBOL(gen_convolution_kernel, Kernel, BINDING);
XLA_FFI_DEFINE_HANDLER_SYMBOL(gen_convolution_output, Output, BINDING);
