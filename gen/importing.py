"""Weights of published PyTorch networks as a folder that `gen.load` reads: their layouts are in `torch_layouts`.

The config comes from the tensors themselves: their shapes say how wide, how deep and how large the networks are.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from gen.data import Spec
from gen.errors import UserError, lookup
from gen.evaluation.pretrained.checkpoint import Tensors, read
from gen.schema import complete
from gen.storage import exchange, record
from gen.storage.torch_layouts import LAYOUTS, translate
from gen.training import program


def players(name: str, generator: Mapping, discriminator: Mapping, **options: Any) -> dict[str, Any]:
    """A config of these two networks, which are both of the architecture `name`."""
    return {"generator": {"name": name} | dict(generator), "discriminator": {"name": name} | dict(discriminator),
            "ema_half_life": 0.0, "generator_statistics": "running", "loss": {"name": "non_saturating"},
            "penalties": {}} | options


def dcgan(g: Tensors, d: Tensors) -> tuple[dict, int, int, int]:
    """(config, side, channels, classes) of the generator's tensors and the discriminator's, if there are any."""
    last = max(int(name.split(".")[1]) for name in g if name.endswith("weight"))
    width = g[f"main.{last}.weight"].shape[0]
    other = len(d["main.0.weight"]) if d else width
    config = players("dcgan", {"width": width, "bias": False}, {"width": other, "bias": False},
                     latents=len(g["main.0.weight"]), discriminator_bias=False)
    return config, 4 * 2 ** (last // 3), g[f"main.{last}.weight"].shape[1], 0


def sngan(g: Tensors, d: Tensors) -> tuple[dict, int, int, int]:
    """The same of the convolutional networks of SNGAN and WGAN-GP."""
    width, spectral = len(g["main.9.weight"]), not d or "main.0.weight_orig" in d
    side = 8 * round((len(g["linear.bias"]) / (8 * width)) ** 0.5)
    config = players("sngan", {"width": width}, {"width": len(d["main.0.bias"]) if d else width,
                                                 "spectral_norm": spectral}, latents=g["linear.weight"].shape[1])
    return config, side, len(g["main.11.bias"]), 0


def sngan_resnet(g: Tensors, d: Tensors) -> tuple[dict, int, int, int]:
    """The same of their residual networks, for 32 x 32 images."""
    width, spectral = len(g["output.0.weight"]), not d or "linear.weight_orig" in d
    other = len(d["model.0.residual.0.bias"]) if d else width // 2
    config = players("resnet", {"width": width}, {"width": other, "spectral_norm": spectral},
                     latents=g["linear.weight"].shape[1], discriminator_bias="linear.bias" in d)
    return config, 32, len(g["output.2.bias"]), 0


def mimicry_sngan(g: Tensors, d: Tensors) -> tuple[dict, int, int, int]:
    """The same of mimicry's, whose generator interpolates."""
    width = len(g["b5.weight"])
    other = len(d["block1.c1.bias"]) if d else width // 2
    judge = {"width": other, "spectral_norm": True, "active_shortcut": True}
    config = players("resnet", {"width": width, "doubling": "bilinear"}, judge, latents=g["l1.weight"].shape[1])
    return config, 32, len(g["c5.bias"]), 0


def r3gan(g: Tensors, d: Tensors) -> tuple[dict, int, int, int]:
    """The same of R3GAN, whose stages double the width from the image on up to the largest."""
    stages = 1 + max(int(name.split(".")[1]) for name in g if name.startswith("MainLayers"))
    blocks = {name.split(".")[3] for name in g if name.startswith("MainLayers.0") and "LinearLayer1" in name}
    first, second = (g[f"MainLayers.0.Layers.1.LinearLayer{k}.Layer.weight"] for k in (1, 2))
    largest, width = len(g["MainLayers.0.Layers.0.Basis"]), g["AggregationLayer.Layer.weight"].shape[1]
    size = {"width": width, "largest": largest, "depth": len(blocks), "group_size": second.shape[1],
            "expansion": len(first) // largest}
    labels, classes = {}, 0
    if "EmbeddingLayer.weight" in g:
        embedding, classes = g["EmbeddingLayer.weight"].shape
        product = len(d["EmbeddingLayer.weight"]) if d else largest
        labels = {"label_embedding": embedding, "conditioning": {"name": "product", "size": product}}
    latents = g["MainLayers.0.Layers.0.LinearLayer.weight"].shape[1] - labels.get("label_embedding", 0)
    config = players("r3gan", size, size, latents=latents, discriminator_bias=False, bounded=False, **labels)
    return config, 4 * 2 ** (stages - 1), len(g["AggregationLayer.Layer.weight"]), classes


def stylegan2(g: Tensors, d: Tensors) -> tuple[dict, int, int, int]:
    """The same of StyleGAN2, whose noise is the fixed one, as of its released `generate.py`.

    The size of the groups of its minibatch standard deviation is in no tensor: it is 4, the released code's own.
    """
    sides = sorted(int(name.split(".")[1][1:]) for name in g if name.endswith("conv1.weight"))
    widths = [len(g[f"synthesis.b{side}.conv1.weight"]) for side in sides]
    depth, style = layers(g), len(g["mapping.w_avg"])
    labels = "mapping.embed.weight" in g
    size = {"width": widths[-1], "largest": max(widths)}
    generator = size | {
        "style_width": style, "mapping_depth": depth, "architecture": architecture(g, "synthesis.b4.torgb.weight"),
        "noise": "fixed" if f"synthesis.b{sides[0]}.conv1.noise_const" in g else "none",
    }
    judge = size | {"architecture": architecture(d, f"b{sides[-2]}.fromrgb.weight") if d else "resnet"}
    conditioning = {}
    if labels:
        wide = len(d["b4.out.weight"]) if d else max(widths)
        conditioning = {"conditioning": {"name": "mapped", "size": wide, "depth": layers(d) if d else 8}}
    latents = g["mapping.fc0.weight"].shape[1] - (style if labels else 0)
    config = players("stylegan2", generator, judge, latents=latents, bounded=False, minibatch_stddev=4, **conditioning)
    classes = g["mapping.embed.weight"].shape[1] if labels else 0
    return config, sides[-1], len(g[f"synthesis.b{sides[-1]}.torgb.bias"]), classes


def architecture(tensors: Tensors, small_image: str) -> str:
    """StyleGAN2's, of a player whose smaller blocks have layers to or from images where it is `skip`."""
    if small_image in tensors:
        return "skip"
    return "resnet" if any(name.endswith("skip.weight") for name in tensors) else "orig"


def layers(tensors: Tensors) -> int:
    """Of a mapping network."""
    return sum(name.startswith("mapping.fc") and name.endswith("weight") for name in tensors)


CONFIGS: dict[str, Callable[[Tensors, Tensors], tuple[dict, int, int, int]]] = {
    "dcgan": dcgan, "sngan": sngan, "sngan_resnet": sngan_resnet, "mimicry_sngan": mimicry_sngan,
    "r3gan": r3gan, "stylegan2": stylegan2,
}
"""Layout to the config that its tensors say."""


def import_weights(layout: str, generator: Path, discriminator: Path | None, out: Path, seed: int = 0) -> Path:
    """Writes the folder `out`, from which `gen.load` makes the model; it samples, evaluates and interpolates.

    Args:
      layout: a key of `LAYOUTS`.
      generator, discriminator: files of PyTorch's `state_dict` or safetensors. Without the latter the discriminator has
        its initial values, by the seed.

    Raises a UserError where a file holds another network, or is no table of tensors, or the folder holds something.
    """
    links = lookup(LAYOUTS, layout, "layout")
    if out.is_dir() and any(out.iterdir()) and not exchange.exported(out):
        raise UserError(f"--out={out} holds other files: name a new folder.")
    g, d = tensors_of(generator), tensors_of(discriminator) if discriminator else {}
    try:
        said, side, channels, classes = CONFIGS[layout](g, d)
    except (KeyError, IndexError, ValueError) as error:
        others = "".join(f" It looks like --layout={other}." for other in CONFIGS if looks_like(other, g, d))
        raise UserError(f"{generator} is not of the layout {layout!r}: {error.args[0] if error.args else error} is "
                        f"missing or has another shape.{others}") from error
    optimizer = {"generator_optimizer": {"name": "adam"}, "discriminator_optimizer": {"name": "adam"}}
    data = {"name": "folder", "path": "", "size": side, "channels": channels, "range": "symmetric"}
    train = {"steps": 1, "batch_size": 64, "log_every": 1, "evaluate_every": 0, "sample_every": 0,
             "checkpoint_every": 1}
    rest = {"family": "gan", "data": data, "evaluators": {}, "train": train}
    config = complete(ConfigDict(rest | optimizer | said), {})
    spec = Spec((side, side, channels), classes, "symmetric")
    found = translate(g, links["generator"], str(generator))
    found |= translate(d, links["discriminator"], str(discriminator)) if d else {}
    state = initial(config, spec, seed)
    wanted = exchange.named(exchange.bare(state))
    own = {name: leaf for name, leaf in wanted.items() if name not in found}
    if missing := sorted(name for name in own if of_player(name, ["generator"] + ["discriminator"] * bool(d))):
        raise UserError(f"{generator} is not of the layout {layout!r}: nothing in it is {missing[0]!r}.")
    exchange.check(generator, {name: np.asarray(leaf) for name, leaf in (own | found).items()},
                   jax.eval_shape(lambda: wanted))
    leaves = [jnp.asarray(found.get(name, leaf)) for name, leaf in wanted.items()]
    bare = jax.tree.unflatten(jax.tree.structure(exchange.bare(state)), leaves)
    about = record.identity(config) | {"spec": spec._asdict(), "default": None}
    exchange.write(out, bare.replace(key=state.key), about)
    return out


def looks_like(layout: str, g: Tensors, d: Tensors) -> bool:
    """Whether these tensors say a config of the layout."""
    try:
        return bool(CONFIGS[layout](g, d))
    except (KeyError, IndexError, ValueError):
        return False


def of_player(name: str, names: list[str]) -> bool:
    """Whether the tensor is a parameter or a statistic of one of these players."""
    return any(name.startswith((f"params.{player}.", f"variables.{player}.")) for player in names)


def tensors_of(path: Path) -> Tensors:
    """The tensors of a file, without the prefixes that wrappers put before their names."""
    return {name.removeprefix("module.").removeprefix("Model."): array for name, array in read(path).items()}


def initial(config: ConfigDict, spec: Spec, seed: int) -> Any:
    """The state before the first step."""
    examples = {"x": jnp.zeros((2, *spec.shape))} | ({"label": jnp.zeros(2, jnp.int32)} if spec.classes else {})
    return jax.jit(program.make(config, spec).family.init)(jax.random.key(seed), examples)
