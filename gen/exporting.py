"""A trained run as a folder to share: weights, config, a picture of samples, and a card that says what it is."""

import json
import re
from importlib.util import find_spec
from pathlib import Path

import jax
import jax.numpy as jnp
from jax import export as jax_export

from gen import onnx
from gen.data import load
from gen.errors import UserError, extra
from gen.figures import overview, sample_picture, scene
from gen.figures.grids import save_png
from gen.figures.leaderboard import newest
from gen.figures.meanings import meaning
from gen.figures.records import read_run
from gen.files import write_atomically
from gen.networks import onednn
from gen.runs import Run, conditional
from gen.storage import record
from gen.storage.exchange import CARD, CONFIG, SAMPLES, WEIGHTS, write

IMAGES, POINTS = 64, 2_500
"""Samples of the picture."""

FILES = frozenset({WEIGHTS, CONFIG, CARD, SAMPLES})

SAMPLER = "sampler.stablehlo"
"""The draw of samples as a program of its own."""

PLATFORMS = ("cpu", "cuda", "tpu")
"""Where that program runs."""

DECODER = "decoder.onnx"
"""The map from latents to samples as an ONNX model."""

DECODED = ("gan", "vae")
"""Families of which each sample is one call of that map."""

AT_ONCE = 500
"""At most how many samples it draws, as many as `Run.sample` draws at once."""


def export(run: Run, out: Path, licence: str = "", samples: int = 0, decoded: int = 0) -> Path:
    """Writes the run into the folder `out`, from which `gen.load` makes the same model, bit for bit.

    Args:
      run: a run that was read from its folder.
      out: made where it is missing; what an earlier export wrote there is replaced.
      licence: of the weights, as the Hub names licences ("cc-by-4.0"); "" leaves the field open.
      samples: of the `sampler` that is written too; 0 for none.
      decoded: of the `decoder` that is written too; 0 for none.

    Raises a UserError where the folder holds anything else, or cannot be written, for too many samples, and for a model
    that has no such decoder.
    """
    check_licence(licence)
    check_sampler(samples)
    check_decoder(run.config.family, decoded)
    if others := {path.name for path in out.iterdir()} - FILES - {SAMPLER, DECODER} if out.is_dir() else set():
        raise UserError(f"--out={out} holds {min(others)!r}: name a new folder, or that of an export.")
    decoding = decoder(run, decoded) if decoded else None
    write(out, run.state, record.read(run.workdir))
    save_png(picture(run), out / SAMPLES)
    _write_or_remove(out / SAMPLER, sampler(run, samples) if samples else None)
    _write_or_remove(out / DECODER, decoding)
    (out / CARD).write_text(card(run, out, licence, samples, decoded), encoding="utf-8")
    return out


def _write_or_remove(path: Path, content: bytes | None) -> None:
    if content is None:
        path.unlink(missing_ok=True)
    else:
        write_atomically(path, content)


def sampler(run: Run, n: int) -> bytes:
    """The draw of n samples as a program of StableHLO that holds its weights, for `jax.export.deserialize`.

    Its argument is a seed, a uint32, and its samples are, up to rounding, those of `run.sample(n, seed)`; that of a
    conditional model takes n labels, int32, besides. It needs JAX and flatbuffers, runs on `PLATFORMS`, and has no
    gradient.
    """
    def draw(seed, *label):
        options = {"label": label[0]} if label else {}
        return run.program.family.sample(run.state, jax.random.fold_in(jax.random.key(seed), 0), n, **options)

    shapes = [jax.ShapeDtypeStruct((), jnp.uint32)]
    if conditional(run.config):
        shapes.append(jax.ShapeDtypeStruct((n,), jnp.int32))
    with onednn.without():  # a program for other machines
        return bytes(jax_export.export(jax.jit(draw), platforms=PLATFORMS)(*shapes).serialize())


def decoder(run: Run, n: int) -> bytes:
    """The map from n latents to samples, `run.decode`, as an ONNX model that holds its weights, for ONNX Runtime.

    Its input is `latents`, float32 [n d], and of a conditional model `labels`, int32 [n]; its output is `samples`,
    float32 [n ...], in data units. Latents drawn from the model's prior, for most N(0, I), give samples of the model.
    Raises a UserError as `onnx.converted`.
    """
    methods = run.program.family.methods
    inputs = {"latents": methods["latents"](run.state, jax.random.key(0), n)}
    if conditional(run.config):
        inputs["labels"] = jnp.arange(n, dtype=jnp.int32) % run.spec.classes
    with onednn.without():
        return onnx.converted(lambda z, *label: methods["decode"](run.state, z, *label), inputs, "samples")


def check_licence(licence: str) -> None:
    """Raises a UserError for what cannot be the name of a licence."""
    if not re.fullmatch(r"[a-z0-9.+-]*", licence):
        raise UserError(f"--license={licence}: expected a name as apache-2.0, mit, cc-by-4.0 or other.")


def check_sampler(samples: int) -> None:
    """Raises a UserError for more samples than are drawn at once, or where the package that writes a sampler is not."""
    if not 0 <= samples <= AT_ONCE:
        raise UserError(f"--sampler={samples}: a sampler draws 1 to {AT_ONCE} samples at once; 0 leaves it out.")
    if samples and not find_spec("flatbuffers"):
        raise UserError(f"--sampler={samples}: JAX needs a package to write programs: {extra('sampler')}.")


def check_decoder(family: str, n: int) -> None:
    """Raises a UserError for too many samples at once, and for other families than `DECODED`."""
    if not 0 <= n <= AT_ONCE:
        raise UserError(f"--onnx={n}: an ONNX file decodes 1 to {AT_ONCE} latents at once; 0 leaves it out.")
    if n and family not in DECODED:
        raise UserError(f"--onnx={n}: an ONNX file is written of {' and '.join(DECODED)} models; this is a {family}.")


def picture(run: Run):
    if len(run.spec.shape) == 3:
        return sample_picture(run.sample(IMAGES), run.spec)
    data = load(run.config.data).test["x"][:POINTS]
    shown = scene(run.config, run.program.family.methods, run.state, data)
    return sample_picture(run.sample(POINTS), run.spec, **shown)


def card(run: Run, out: Path, licence: str, samples: int = 0, decoded: int = 0) -> str:
    """The model card: what was trained on what, what it reached, how to use it, its whole config."""
    told = read_run(run.workdir, run.workdir.name)
    title = overview.kind(told) or "A generative model"
    facts = {"step": f"{run.step:,}", "data": f"{run.config.data.name}, {' x '.join(map(str, run.spec.shape))}",
             "trained on": str(told.record.get("machine", "")), "code": str(told.record.get("commit") or "")}
    lines = "\n".join(f"| {name} | {value} |" for name, value in facts.items() if value)
    scores = "\n".join(f"| {name} | {value:.6g} | {meaning(name).unit} |" for name, value in newest(told).items())
    return f"""---
{f"license: {licence}" if licence else "license: other"}
library_name: gen
tags: [jax, {run.config.family}]
---
# {title}

![Samples](samples.png)

| | |
| --- | --- |
{lines}

The weights are those of step {run.step:,}; the scores are those of the newest evaluation while it trained. A metric's
name says its protocol. {"" if licence else "No licence was named when this was exported: ask before you use it."}

| metric | value | unit |
| --- | ---: | --- |
{scores}

```python
import gen
run = gen.load("{out.name}")        # this folder, or hf://owner/name
samples = run.sample(16)
```
{_use_of_sampler(run, samples) if samples else ""}{_use_of_decoder(run, decoded) if decoded else ""}
The config, as a run's `config.json` has it:

```json
{json.dumps(json.loads(json.dumps(told.record.get("config", {}))), indent=2)}
```
"""


def _use_of_sampler(run: Run, n: int) -> str:
    label = f", labels: int32[{n}]" if conditional(run.config) else ""
    argument = f", numpy.zeros({n}, numpy.int32)" if label else ""
    return f"""
`{SAMPLER}` draws {n} samples (seed: uint32{label}) on {", ".join(PLATFORMS)} with JAX and flatbuffers alone; JAX
{jax.__version__} wrote it, and later versions read it for six months at least:

```python
import jax.export, numpy
draw = jax.export.deserialize(bytearray(open("{SAMPLER}", "rb").read())).call
samples = draw(numpy.uint32(0){argument})
```
"""


def _use_of_decoder(run: Run, n: int) -> str:
    label = f', "labels": numpy.zeros({n}, numpy.int32)' if conditional(run.config) else ""
    return f"""
`{DECODER}` maps {n} latents to samples where there is ONNX Runtime, without JAX:

```python
import numpy, onnxruntime
session = onnxruntime.InferenceSession("{DECODER}")
latents = numpy.random.default_rng(0).normal(size=session.get_inputs()[0].shape).astype(numpy.float32)
(samples,) = session.run(None, {{"latents": latents{label}}})
```
"""
