"""Convolutions by oneDNN on the CPU, with the extra `gen[onednn]`: an option of speed, no other mathematics.

XLA's own convolutions for the CPU are slow, and matrix products around slices (`gen.networks.layers`) reach a third of
the processor where maps are large. oneDNN, the library that PyTorch calls too, reaches most of it, and a program that
calls it is short, so it compiles sooner. `onednn.cc`, one file, hands it XLA's arrays as they are; `use` compiles that
file once with the C++ compiler of the machine and keeps it.

Where channels and tiles are many enough, a window of 2 or 3 cells a side takes the minimal filtering algorithm F(2, r)
instead (Winograd 1980; Lavin & Gray 2016) around oneDNN's products of matrices: 9 or 16 products in place of 16 or 36,
which is 0.55 to 0.7 of the time where channels are 128 or more, with rounding errors of the same size.

It computes 16 channels at a time, and takes as long for the one or three of an image. Where these are what is computed,
other forms are 2 to 10 times as fast: one matrix product with all taps and the sum of its shifted columns, the pixels
of a cell as channels, or images and outputs in each other's place (`narrow`).

The convolution y = x * w is bilinear, and so are its derivatives, which take (y, w) to x and (x, y) to w. The three are
primitives of JAX whose derivatives are each other, so that gradients of any order, forward and reverse, work. Products
are summed in an order of oneDNN's: results equal those of the other forms up to rounding, and are the same bits at
every call with as many threads. Programs for more than one device keep the other forms, which XLA can divide.
"""

import ctypes
import hashlib
import importlib.metadata
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import logging
from jax.experimental.xla_metadata import set_xla_metadata
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jaxtyping import Array, Float

from gen import flat
from gen.errors import UserError, extra
from gen.files import user_path
from gen.machine import instructions
from gen.networks import matmuls
from gen.networks.matmuls import Pads

SOURCE = Path(__file__).with_name("onednn.cc")
PACKAGES = ("onednn-cpu-gomp", "onednn-devel-cpu-gomp")
PARTS = ("image", "kernel", "output")
FLAGS = ("-O3", "-march=native", "-std=c++17", "-shared", "-fPIC", "-fopenmp", "-w")
ARGUMENTS = {"image": ("output", "kernel"), "kernel": ("image", "output"), "output": ("image", "kernel")}
NARROWEST, FEWEST, GAIN = 32, 64, 1.6
"""Channels, tiles and the products saved from which on minimal filtering was faster, on an AMD EPYC."""
FEW, FEW_PRODUCTS = 8, 3
"""Channels up to which other forms than oneDNN's were faster on an AMD EPYC: cells and exchanges, and matmuls."""
CHOICES = ("", "onednn", "xla")
WAITING = "OMP_WAIT_POLICY"
DTYPES = (jnp.dtype("float32"), jnp.dtype("bfloat16"))

_state = {"version": ""}  # of oneDNN, once it is loaded; what is registered with XLA is the process's too


def version() -> str:
    """The version of oneDNN that this process's convolutions call; "" where they do not."""
    return _state["version"]


def serves(x: Array | jax.ShapeDtypeStruct, w: Array | jax.ShapeDtypeStruct) -> bool:
    """Whether a convolution of these arrays is oneDNN's in this process: float32 or bfloat16, for one CPU."""
    return (bool(version()) and x.dtype == w.dtype and x.dtype in DTYPES and x.size > 0 and w.size > 0
            and jax.device_count() == 1 and jax.default_backend() == "cpu")


@contextmanager
def without() -> Iterator[None]:
    """Convolutions that are traced within are not oneDNN's: for programs that leave this process.

    JAX keeps what it has traced, and takes it for the same only where its own settings are the same too; the metadata
    are such a setting, so a function that was traced outside is traced again.
    """
    before = dict(_state)
    _state["version"] = ""
    try:
        with set_xla_metadata(convolutions="xla"), flat.without():
            yield
    finally:
        _state.update(before)


def installed() -> bool:
    """Whether the extra's packages are there."""
    try:
        return all(importlib.metadata.version(name) for name in PACKAGES)
    except importlib.metadata.PackageNotFoundError:
        return False


def choose(wanted: str) -> None:
    """Does what `GEN_CONVOLUTIONS` asks for: "onednn", "xla", or "", which is oneDNN where the extra is installed.

    Raises:
      UserError: `wanted` is another word, or oneDNN was asked for by name and cannot be used.
    """
    if wanted not in CHOICES:
        raise UserError(f"GEN_CONVOLUTIONS={wanted}: use {', '.join(CHOICES[1:])}, or leave it out.")
    if wanted == "onednn":
        use()
    elif not wanted and installed():
        try:
            use()
        except UserError as error:
            logging.warning("Convolutions stay XLA's: %s", error)


def use(folder: str = "") -> None:
    """Makes this process's convolutions oneDNN's from now on; their code is compiled into `folder` if it is not there.

    Call it before anything is traced. The folder is ~/.cache/gen/onednn by default.

    Raises:
      UserError: the extra or a C++ compiler is missing, or the code does not compile here; it says which.
    """
    if version():
        return
    if not installed():
        raise UserError(f"oneDNN is not installed: {extra('onednn')} (Linux on x86-64).")
    library = _load(_built(user_path(folder or "~/.cache/gen/onednn")))
    for part in PARTS:
        name = f"gen_convolution_{part}"
        jax.ffi.register_ffi_target(name, jax.ffi.pycapsule(getattr(library, name)), platform="cpu")
    flat.use(library)
    _state["version"] = importlib.metadata.version(PACKAGES[0])


def _load(library: Path) -> ctypes.CDLL:
    """The library, whose threads leave the cores to XLA while they wait.

    OpenMP reads that from the environment when it is loaded; afterwards the environment is as it was, because programs
    that this one starts inherit it.
    """
    before = os.environ.get(WAITING)
    os.environ.setdefault(WAITING, "passive")
    try:
        return ctypes.cdll.LoadLibrary(str(library))
    except OSError as error:
        raise UserError(f"oneDNN cannot be loaded here: {error}") from error
    finally:
        if before is None:
            del os.environ[WAITING]


def _built(folder: Path) -> Path:
    """The compiled `onednn.cc`, in a file whose name stands for source, flags, packages and instruction set."""
    library, header = _file(PACKAGES[0], "libdnnl.so.3"), _file(PACKAGES[1], "oneapi/dnnl/dnnl.hpp")
    told = [SOURCE.read_text(), *FLAGS, str(library), instructions(),
            *(importlib.metadata.version(name) for name in ("jaxlib", *PACKAGES))]
    place = folder / f"{hashlib.sha256(chr(0).join(told).encode()).hexdigest()[:16]}.so"
    if place.is_file():
        return place
    compiler = shlex.split(os.environ.get("CXX", "")) or [*filter(None, map(shutil.which, ("c++", "g++")))][:1]
    if not compiler:
        raise UserError("oneDNN needs a C++ compiler once: install g++, or name one in CXX.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            part = Path(scratch) / "part.so"
            _compile(compiler, library, header.parents[2], part)
            part.replace(place)
    except OSError as error:
        raise UserError(f"{folder}: oneDNN's functions cannot be kept there: {error.strerror or error}.") from error
    return place


def _compile(compiler: list[str], library: Path, headers: Path, out: Path) -> None:
    command = [*compiler, *FLAGS, str(SOURCE), f"-I{headers}", f"-I{jax.ffi.include_dir()}", str(library),
               f"-Wl,-rpath,{library.parent}", "-o", str(out)]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except OSError as error:
        raise UserError(f"CXX={shlex.join(compiler)} cannot be run: {error.strerror}.") from error
    if done.returncode:
        told = next((line for line in done.stderr.splitlines() if "error" in line), done.stderr.strip()[:200])
        raise UserError(f"oneDNN's functions do not compile here: {told}")


def _file(package: str, end: str) -> Path:
    for file in importlib.metadata.files(package) or ():
        if file.as_posix().endswith(end):
            return Path(file.locate()).resolve()
    raise UserError(f"{package} has no {end}: install it again.")


def conv(x: Float[Array, "b h w c"], w: Float[Array, "kh kw i o"], strides: tuple[int, int], pads: Pads, groups: int
         ) -> Float[Array, "b y x o"]:
    """y[b, p, o] = sum_{k, i} x[b, p * strides + k - low, i] w[k, i, o], as `gen.networks.layers.conv`."""
    size = tuple((n + lo + hi - k) // s + 1
                 for n, k, s, (lo, hi) in zip(x.shape[1:3], w.shape, strides, pads, strict=False))
    cropped, pads = _without_negative(pads)
    return _output.bind(_padded(x, cropped), w, size=size, window=_window(strides, pads, groups))


def conv_transpose(y: Float[Array, "b h w o"], w: Float[Array, "kh kw i o"], strides: tuple[int, int], pads: Pads,
                   size: tuple[int, int], groups: int = 1) -> Float[Array, "b y x c"]:
    """The transpose, in its images of `size`, of the convolution with the kernel `w` to o channels."""
    cropped, pads = _without_negative(pads)
    inner = tuple(n + lo + hi for n, (lo, hi) in zip(size, cropped, strict=True))
    x = _image.bind(y, w, size=inner, window=_window(strides, pads, groups))
    return _padded(x, tuple((-lo, -hi) for lo, hi in cropped))


def _without_negative(pads: Pads) -> tuple[Pads, Pads]:
    """Padding as what it crops, 0 or negative, and what it adds, which is all that oneDNN takes."""
    return (tuple((min(lo, 0), min(hi, 0)) for lo, hi in pads), tuple((max(lo, 0), max(hi, 0)) for lo, hi in pads))


def _padded(x: Array, pads: Pads) -> Array:
    """Zeros around the images, or less of them where `pads` is negative."""
    around = [(0, 0, 0), *((lo, hi, 0) for lo, hi in pads), (0, 0, 0)]
    return jax.lax.pad(x, jnp.zeros((), x.dtype), around) if any(map(any, pads)) else x


def _window(strides: tuple[int, int], pads: Pads, groups: int) -> tuple[int, ...]:
    return (*strides, *(low for low, _ in pads), groups)


def cells(x: Any, w: Any, y: Any, window: tuple[int, ...]) -> int:
    """Cells a side of the window of a convolution of these three that minimal filtering computes faster; 0: none.

    A cell has as many pixels a side as the stride. With r cells, (r + 1)^2 products of a cell's channels give a tile of
    2x2 outputs, of which those outside of the image are in vain. Groups only with stride 1.
    """
    (high, wide, c, outputs), (step, across, _, _, groups) = w.shape, window
    r, o = -(-high // step), outputs // groups
    if (r not in (2, 3) or -(-wide // step) != r or across != step or groups > 1 < step or x.dtype != jnp.float32
            or c % 16 or o % 16 or min(c, o) < NARROWEST or groups * max(c, o) > 2**14):
        return 0
    (height, width), tiles = y.shape[1:3], -(-y.shape[1] // 2) * -(-y.shape[2] // 2)
    worth = high * wide * height * width >= GAIN * ((r + 1) * step)**2 * tiles and x.shape[0] * tiles >= FEWEST
    return r if worth else 0


def _output_by_xla(x: Array, w: Array, *, size: tuple[int, int], window: tuple[int, ...]) -> Array:
    """What programs for other platforms have in place of the primitives; the two below are its transposes."""
    (*strides, top, left, groups), pads = window, []
    for n, k, out, stride, low in zip(x.shape[1:3], w.shape, size, strides, (top, left), strict=False):
        pads.append((low, (out - 1) * stride + k - n - low))
    return jax.lax.conv_general_dilated(x, w, strides, pads, feature_group_count=groups,
                                        dimension_numbers=("NHWC", "HWIO", "NHWC"))


def _image_by_xla(y: Array, w: Array, *, size: tuple[int, int], window: tuple[int, ...]) -> Array:
    x = jax.ShapeDtypeStruct((len(y), *size, w.shape[2] * window[-1]), y.dtype)
    return jax.linear_transpose(partial(_output_by_xla, w=w, size=y.shape[1:3], window=window), x)(y)[0]


def _kernel_by_xla(x: Array, y: Array, *, size: tuple[int, int], window: tuple[int, ...]) -> Array:
    w = jax.ShapeDtypeStruct((*size, x.shape[-1] // window[-1], y.shape[-1]), x.dtype)
    return jax.linear_transpose(partial(_output_by_xla, x, size=y.shape[1:3], window=window), w)(y)[0]


XLA = {"output": _output_by_xla, "image": _image_by_xla, "kernel": _kernel_by_xla}


def narrow(part: str, x: Any, w: Any, y: Any, window: tuple[int, ...]
           ) -> Callable[..., Array] | None:
    """The form of this part that takes less time than oneDNN's where few channels are computed of more; None: oneDNN's.

    The few are channels of the images for "image", and of the outputs for "output" and "kernel".
    """
    (*strides, top, left, groups), (high, wide, c, o) = window, w.shape
    if groups > 1 or x.dtype != jnp.float32:
        return None
    if part == "image":
        if c <= FEW_PRODUCTS and c < o:
            return _image_by_products
        return _image_by_cells if c <= FEW and c < o and max(strides) > 1 else None
    if max(strides) > 1 or o >= c:
        return None
    if part == "output":
        return _output_by_products if o <= FEW_PRODUCTS else None
    (height, width), (rows, columns) = x.shape[1:3], y.shape[1:3]
    inside = top < high and left < wide and rows <= height + top and columns <= width + left
    return _kernel_by_exchange if o <= FEW and inside else None


def _output_by_products(x: Array, w: Array, *, size: tuple[int, int], window: tuple[int, ...]) -> Array:
    """The outputs of stride 1 by one matmul."""
    _, _, top, left, _ = window
    return matmuls.shifted_products(x, w, ((top, 0), (left, 0)), size)


def _image_by_products(y: Array, w: Array, *, size: tuple[int, int], window: tuple[int, ...]) -> Array:
    """The images by one matmul: their cells are the outputs of stride 1 of the reversed kernel."""
    def image(kernel: Array, low: tuple[int, int], cells: tuple[int, int]) -> Array:
        pads = tuple((r - 1 - n, 0) for r, n in zip(kernel.shape, low, strict=False))
        return matmuls.shifted_products(y, kernel[::-1, ::-1].swapaxes(2, 3), pads, cells)

    return _of_cells(image, y, w, size, window)


def _image_by_cells(y: Array, w: Array, *, size: tuple[int, int], window: tuple[int, ...]) -> Array:
    """The images by oneDNN, which computes the channels of all pixels of a cell at a time."""
    return _of_cells(lambda kernel, low, cells: _image.bind(y, kernel, size=cells, window=(1, 1, *low, 1)),
                     y, w, size, window)


def _of_cells(image: Callable, y: Array, w: Array, size: tuple[int, int], window: tuple[int, ...]) -> Array:
    """Images of a convolution from those of one of stride 1, whose pixels are cells: image(kernel, padding, size)."""
    strides, low = window[:2], window[2:4]
    kernel = matmuls.kernel_of_cells(w, strides)
    before = tuple(n // s for n, s in zip(low, strides, strict=True))  # cells outside; of the next one, pixels
    outside = tuple(n % s for n, s in zip(low, strides, strict=True))
    reached = tuple(n + r - 1 - m for n, r, m in zip(y.shape[1:3], kernel.shape, before, strict=False))
    cells = tuple(min(m, -(-(n + q) // s)) for m, n, q, s in zip(reached, size, outside, strides, strict=True))
    x = image(kernel, before, cells).reshape(-1, *cells, *strides, w.shape[2]).transpose(0, 1, 3, 2, 4, 5)
    x = x.reshape(len(y), cells[0] * strides[0], cells[1] * strides[1], -1)
    return matmuls.pad_to(x, tuple((-q, 0) for q in outside), size)


def _kernel_by_exchange(x: Array, y: Array, *, size: tuple[int, int], window: tuple[int, ...]) -> Array:
    """The kernel of stride 1 as that from outputs to images, reversed: the few channels are those that are read."""
    back = tuple(k - 1 - low for k, low in zip(size, window[2:4], strict=True))
    return _kernel.bind(y, x, size=size, window=(1, 1, *back, 1))[::-1, ::-1].swapaxes(2, 3)


def _primitive(part: str, shape: Callable) -> Primitive:
    """One of the three; `shape(a, b, size, groups)` is that of its result, `size` its two dimensions of space."""
    made = Primitive(f"gen_convolution_{part}")
    lowered = jax.ffi.ffi_lowering(f"gen_convolution_{part}")

    def lower(ctx: Any, *args: Any, size: tuple[int, int], window: tuple[int, ...]) -> Any:
        of = dict(zip((*ARGUMENTS[part], part), (*ctx.avals_in, *ctx.avals_out), strict=True))
        if form := narrow(part, *(of[name] for name in PARTS), window):
            return mlir.lower_fun(form, multiple_results=False)(ctx, *args, size=size, window=window)
        filtered = cells(*(of[name] for name in PARTS), window)
        return lowered(ctx, *args, window=np.array(window, np.int64), cells=np.int64(filtered))

    made.def_abstract_eval(lambda a, b, size, window: jax.core.ShapedArray(shape(a, b, size, window[-1]), a.dtype))
    made.def_impl(lambda *args, **params: jax.jit(partial(made.bind, **params))(*args))
    mlir.register_lowering(made, lower, platform="cpu")
    mlir.register_lowering(made, mlir.lower_fun(XLA[part], multiple_results=False))
    batching.primitive_batchers[made] = partial(_batched, made)
    return made


def _batched(made: Primitive, args: tuple[Array, Array], dims: tuple[int | None, int | None], **params: Any
             ) -> tuple[Array, int]:
    """Under `vmap`: images with one kernel are one batch; anything else is one call after another."""
    a, b = (x if d is None else jnp.moveaxis(x, d, 0) for x, d in zip(args, dims, strict=True))
    if dims[1] is None and made is not _kernel:
        merged = made.bind(a.reshape(-1, *a.shape[2:]), b, **params)
        return merged.reshape(*a.shape[:2], *merged.shape[1:]), 0
    mapped = {i: x for i, (x, d) in enumerate(zip((a, b), dims, strict=True)) if d is not None}
    return jax.lax.map(lambda some: made.bind(*({0: a, 1: b} | some).values(), **params), mapped), 0


_image = _primitive("image", lambda y, w, size, groups: (y.shape[0], *size, w.shape[2] * groups))
_kernel = _primitive("kernel", lambda x, y, size, groups: (*size, x.shape[-1] // groups, y.shape[-1]))
_output = _primitive("output", lambda x, w, size, groups: (x.shape[0], *size, w.shape[-1]))


def _images(y: Array, w: Array, like: Any, window: tuple[int, ...]) -> Array:
    return _image.bind(y, w, size=like.aval.shape[1:3], window=window)


def _kernels(x: Array, y: Array, like: Any, window: tuple[int, ...]) -> Array:
    return _kernel.bind(x, y, size=like.aval.shape[:2], window=window)


def _outputs(x: Array, w: Array, like: Any, window: tuple[int, ...]) -> Array:
    return _output.bind(x, w, size=like.aval.shape[1:3], window=window)


ad.defbilinear(_output, lambda ct, x, w, *, size, window: _images(ct, w, x, window),
               lambda ct, x, w, *, size, window: _kernels(x, ct, w, window))
ad.defbilinear(_image, lambda ct, y, w, *, size, window: _outputs(ct, w, y, window),
               lambda ct, y, w, *, size, window: _kernels(ct, y, w, window))
ad.defbilinear(_kernel, lambda ct, x, y, *, size, window: _images(y, ct, x, window),
               lambda ct, x, y, *, size, window: _outputs(x, ct, y, window))
