"""Tensors of PyTorch networks that are also built here, by our names: which module is which layer, and its axes.

A layout says for each player which of its modules is which of our layers, and how the module's weight becomes our
kernel. `translate` applies it to a table of tensors (`state_dict`), complete or refused.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from gen.errors import UserError
from gen.evaluation.pretrained.checkpoint import Tensors


class Link(NamedTuple):
    """Attributes:
    ours: the place of our layer, "generator.decoder.Conv_0".
    theirs: the name of their module, "main.2".
    kind: a key of `KINDS`, or one of those below it.
    channels: of the maps that a linear layer makes or reads.
    """

    ours: str
    theirs: str
    kind: str
    channels: int = 0


Links = Callable[[Tensors], Iterator[Link]]
"""From a player's tensors to its layers."""


def to_maps(w: np.ndarray, channels: int) -> np.ndarray:
    """[c h w of maps, inputs] to [inputs, h w c]: a linear layer whose outputs are maps."""
    return w.reshape(channels, -1, w.shape[1]).transpose(2, 1, 0).reshape(w.shape[1], -1)


def from_maps(w: np.ndarray, channels: int) -> np.ndarray:
    """[outputs, c h w of maps] to [h w c, outputs]: a linear layer whose inputs are maps."""
    return w.reshape(len(w), channels, -1).transpose(2, 1, 0).reshape(-1, len(w))


KINDS: dict[str, Callable[[np.ndarray, int], np.ndarray]] = {
    "conv": lambda w, _: w.transpose(2, 3, 1, 0),
    "conv_up": lambda w, _: w.transpose(2, 3, 1, 0)[::-1, ::-1],
    "conv_transpose": lambda w, _: w.transpose(2, 3, 0, 1)[::-1, ::-1],
    "dense": lambda w, _: w.T,
    "conv_transpose_of_a_pixel": lambda w, _: w.transpose(0, 2, 3, 1).reshape(len(w), -1),
    "conv_to_a_pixel": lambda w, _: w.transpose(2, 3, 1, 0).reshape(-1, len(w)),
    "to_maps": to_maps,
    "from_maps": from_maps,
}
"""From their weight to our kernel."""

NORM, MAP, PIXELS, BIAS = "norm", "map", "pixels", "bias"
"""Kinds of modules without a kernel: a batch norm; R3GAN's bases, [c h w] and [c 1 h w], to [h w c], and biases."""

NOISE, AVERAGE = "noise", "average"
"""And StyleGAN2's: strength and fixed map of a layer's noise, the moving average of the styles."""


def dcgan_generator(tensors: Tensors) -> Iterator[Link]:
    """pytorch/examples, dcgan: transposed convolutions at main.0, 3, ..., a batch norm after each but the last."""
    last = max(int(name.split(".")[1]) for name in tensors if name.endswith("weight"))
    yield Link("generator.decoder.Dense_0", "main.0", "conv_transpose_of_a_pixel")
    for i in range(last // 3):
        yield Link(f"generator.decoder.BatchNorm_{i}", f"main.{3 * i + 1}", NORM)
        name = "output" if 3 * (i + 1) == last else f"ConvTranspose_{i}"
        yield Link(f"generator.decoder.{name}", f"main.{3 * (i + 1)}", "conv_transpose")


def dcgan_discriminator(tensors: Tensors) -> Iterator[Link]:
    """The same: convolutions at main.0, 2, 5, ..., a batch norm after each but the first and the last."""
    last = max(int(name.split(".")[1]) for name in tensors if name.endswith("weight"))
    yield Link("discriminator.encoder.Conv_0", "main.0", "conv")
    for i in range(1, last // 3 + 1):
        if 3 * i - 1 < last:
            yield Link(f"discriminator.encoder.Conv_{i}", f"main.{3 * i - 1}", "conv")
            yield Link(f"discriminator.encoder.BatchNorm_{i - 1}", f"main.{3 * i}", NORM)
    yield Link("discriminator.logits", f"main.{last}", "conv_to_a_pixel")


def sngan_generator(tensors: Tensors) -> Iterator[Link]:
    """w86763777/pytorch-gan-collections, Generator32 of sngan.py and wgangp.py."""
    yield Link("generator.decoder.Dense_0", "linear", "to_maps", len(tensors["main.0.weight"]))
    for i in range(4):
        yield Link(f"generator.decoder.BatchNorm_{i}", f"main.{3 * i}", NORM)
    for i in range(3):
        yield Link(f"generator.decoder.ConvTranspose_{i}", f"main.{3 * i + 2}", "conv_transpose")
    yield Link("generator.decoder.output", "main.11", "conv")


def sngan_discriminator(tensors: Tensors) -> Iterator[Link]:
    """The same, Discriminator32."""
    for i in range(7):
        yield Link(f"discriminator.encoder.Conv_{i}", f"main.{2 * i}", "conv")
    yield Link("discriminator.logits", "linear", "from_maps", len(tensors["main.12.bias"]))


def sngan_resnet_generator(tensors: Tensors) -> Iterator[Link]:
    """The same, ResGenerator32."""
    yield Link("generator.decoder.Dense_0", "linear", "to_maps", len(tensors["output.0.weight"]))
    for i in range(3):
        here, there = f"generator.decoder.UpBlock_{i}", f"blocks.{i}"
        for k, (norm, conv) in enumerate(((0, 3), (4, 6))):
            yield Link(f"{here}.BatchNorm_{k}", f"{there}.residual.{norm}", NORM)
            yield Link(f"{here}.Conv_{k}", f"{there}.residual.{conv}", "conv")
        yield Link(f"{here}.Conv_2", f"{there}.shortcut.1", "conv")
    yield Link("generator.decoder.BatchNorm_0", "output.0", NORM)
    yield Link("generator.decoder.output", "output.2", "conv")


def sngan_resnet_discriminator(tensors: Tensors) -> Iterator[Link]:
    """The same, ResDiscriminator32."""
    for i in range(4):
        here, there = f"discriminator.encoder.DownBlock_{i}", f"model.{i}"
        for k, place in enumerate((0, 2) if i == 0 else (1, 3)):
            yield Link(f"{here}.Conv_{k}", f"{there}.residual.{place}", "conv")
        if i < 2:
            yield Link(f"{here}.Conv_2", f"{there}.shortcut.{1 - i}", "conv")
    yield Link("discriminator.logits", "linear", "dense")


def mimicry_generator(tensors: Tensors) -> Iterator[Link]:
    """kwotsin/mimicry, SNGANGenerator32."""
    yield Link("generator.decoder.Dense_0", "l1", "to_maps", len(tensors["b5.weight"]))
    for i in range(3):
        here, there = f"generator.decoder.UpBlock_{i}", f"block{i + 2}"
        for k in range(2):
            yield Link(f"{here}.BatchNorm_{k}", f"{there}.b{k + 1}", NORM)
            yield Link(f"{here}.Conv_{k}", f"{there}.c{k + 1}", "conv")
        yield Link(f"{here}.Conv_2", f"{there}.c_sc", "conv")
    yield Link("generator.decoder.BatchNorm_0", "b5", NORM)
    yield Link("generator.decoder.output", "c5", "conv")


def mimicry_discriminator(tensors: Tensors) -> Iterator[Link]:
    """The same, SNGANDiscriminator32."""
    for i in range(4):
        here, there = f"discriminator.encoder.DownBlock_{i}", f"block{i + 1}"
        for k, name in enumerate(("c1", "c2", "c_sc") if i < 2 else ("c1", "c2")):
            yield Link(f"{here}.Conv_{k}", f"{there}.{name}", "conv")
    yield Link("discriminator.logits", "l5", "dense")


def r3gan_generator(tensors: Tensors) -> Iterator[Link]:
    """brownvc/R3GAN, Generator of Networks.py."""
    yield Link("generator.decoder.basis", "MainLayers.0.Layers.0.Basis", MAP)
    yield Link("generator.decoder.Dense_0", "MainLayers.0.Layers.0.LinearLayer", "dense")
    yield from _r3gan_stages(tensors, "generator.decoder", first_block=1, first_conv=0)
    yield Link("generator.decoder.output", "AggregationLayer.Layer", "conv")
    if "EmbeddingLayer.weight" in tensors:
        yield Link("generator.label_embedding", "EmbeddingLayer", "dense")


def r3gan_discriminator(tensors: Tensors) -> Iterator[Link]:
    """The same, Discriminator; with labels its last layer is our head `features`."""
    labels = "EmbeddingLayer.weight" in tensors
    (last,) = {name.removesuffix(".Basis.weight") for name in tensors if name.endswith(".Basis.weight")}
    yield Link("discriminator.encoder.Conv_0", "ExtractionLayer.Layer", "conv")
    yield from _r3gan_stages(tensors, "discriminator.encoder", first_block=0, first_conv=1)
    yield Link("discriminator.encoder.basis", f"{last}.Basis", PIXELS)
    yield Link(f"discriminator.{'features' if labels else 'logits'}", f"{last}.LinearLayer", "dense")
    if labels:
        yield Link("discriminator.label_embedding", "EmbeddingLayer", "dense")


def _r3gan_stages(tensors: Tensors, place: str, first_block: int, first_conv: int) -> Iterator[Link]:
    """Residual blocks, and the 1x1 convolutions between stages of other widths, in the order of the stages."""
    layers = sorted({tuple(map(int, found.groups())) for name in tensors
                     if (found := re.match(r"MainLayers\.(\d+)\.Layers\.(\d+)\.LinearLayer", name))})
    block, conv = 0, first_conv
    for stage, layer in layers:
        there = f"MainLayers.{stage}.Layers.{layer}"
        if f"{there}.LinearLayer1.Layer.weight" in tensors:
            for k in range(3):
                yield Link(f"{place}.Block_{block}.Conv_{k}", f"{there}.LinearLayer{k + 1}.Layer", "conv")
            for k in range(2):
                yield Link(f"{place}.Block_{block}.Conv_{k}", f"{there}.NonLinearity{k + 1}", BIAS)
            block += 1
        elif f"{there}.LinearLayer.Layer.weight" in tensors:
            yield Link(f"{place}.Conv_{conv}", f"{there}.LinearLayer.Layer", "conv")
            conv += 1


def stylegan2_generator(tensors: Tensors) -> Iterator[Link]:
    """NVlabs/stylegan2-ada-pytorch, Generator of training/networks.py, in any of its architectures."""
    yield from _mapping(tensors, "generator.decoder.mapping")
    yield Link("generator.decoder.style", "mapping.w_avg", AVERAGE)
    yield Link("generator.decoder.constant", "synthesis.b4.const", MAP)
    for i, side in enumerate(_sides(tensors, "synthesis.b")):
        for k in range(2):
            ours, theirs = f"generator.decoder.block_{i}_layer_{k}", f"synthesis.b{side}.conv{k}"
            if f"{theirs}.weight" in tensors:
                yield Link(ours, theirs, "conv" if k else "conv_up")
                yield Link(f"{ours}.affine", f"{theirs}.affine", "dense")
            if f"{theirs}.noise_strength" in tensors:
                yield Link(ours, theirs, NOISE)
        for ours, theirs in (("image", "torgb"), ("skip", "skip")):
            if f"synthesis.b{side}.{theirs}.weight" in tensors:
                yield Link(f"generator.decoder.block_{i}_{ours}", f"synthesis.b{side}.{theirs}", "conv")
        if f"synthesis.b{side}.torgb.weight" in tensors:
            yield Link(f"generator.decoder.block_{i}_image.affine", f"synthesis.b{side}.torgb.affine", "dense")


def stylegan2_discriminator(tensors: Tensors) -> Iterator[Link]:
    """The same, Discriminator; with labels its last layer is our head `features`."""
    names = {"fromrgb": "image", "conv0": "layer_0", "conv1": "layer_1", "skip": "skip"}
    for i, side in enumerate(reversed(_sides(tensors, "b"))):
        for theirs, ours in names.items():
            if f"b{side}.{theirs}.weight" in tensors:
                yield Link(f"discriminator.encoder.block_{i}_{ours}", f"b{side}.{theirs}", "conv")
    yield Link("discriminator.encoder.last_layer", "b4.conv", "conv")
    yield Link("discriminator.encoder.features", "b4.fc", "from_maps", len(tensors["b4.conv.weight"]))
    labels = "mapping.embed.weight" in tensors
    yield Link(f"discriminator.{'features' if labels else 'logits'}", "b4.out", "dense")
    if labels:
        yield from _mapping(tensors, "discriminator.label_mapping")


def _sides(tensors: Tensors, prefix: str) -> list[int]:
    """The sides of the blocks, the smallest first."""
    found = (re.match(rf"{re.escape(prefix)}(\d+)\.", name) for name in tensors)
    return sorted({int(match.group(1)) for match in found if match})


def _mapping(tensors: Tensors, place: str) -> Iterator[Link]:
    """A mapping network."""
    if "mapping.embed.weight" in tensors:
        yield Link(f"{place}.embedding", "mapping.embed", "dense")
    for i in range(sum(re.fullmatch(r"mapping\.fc\d+\.weight", name) is not None for name in tensors)):
        yield Link(f"{place}.layer_{i}", f"mapping.fc{i}", "dense")


LAYOUTS: dict[str, dict[str, Links]] = {
    "dcgan": {"generator": dcgan_generator, "discriminator": dcgan_discriminator},
    "sngan": {"generator": sngan_generator, "discriminator": sngan_discriminator},
    "sngan_resnet": {"generator": sngan_resnet_generator, "discriminator": sngan_resnet_discriminator},
    "mimicry_sngan": {"generator": mimicry_generator, "discriminator": mimicry_discriminator},
    "r3gan": {"generator": r3gan_generator, "discriminator": r3gan_discriminator},
    "stylegan2": {"generator": stylegan2_generator, "discriminator": stylegan2_discriminator},
}
"""Name to the layers of each player."""

UNUSED = ("num_batches_tracked", "weight_v", "Resampler.Kernel", "resample_filter")
"""Ends of names of tensors that say nothing of the network: counters, constants, what follows from others."""


def translate(tensors: Mapping[str, np.ndarray], links: Links, source: str) -> Tensors:
    """The tensors by our names, "params.generator.decoder.Conv_0.kernel". `source` names them in messages.

    Raises a UserError where a module is missing or a tensor is left over: then it is another network.
    """
    used, found = set(), {}
    try:
        for link in links(dict(tensors)):
            for name, suffix, array in _leaves(tensors, link):
                found[name] = np.array(array, order="C")
                used.add(suffix)
    except (KeyError, ValueError, IndexError) as error:
        raise UserError(f"{source} is not of this layout: {error.args[0] if error.args else error} is missing or has "
                        "another shape.") from error
    if left := sorted(name for name in tensors.keys() - used if not name.endswith(UNUSED)):
        raise UserError(f"{source} is not of this layout: it has {left[0]!r} besides.")
    return found


def _leaves(tensors: Tensors, link: Link) -> Iterator[tuple[str, str, np.ndarray]]:
    """(our name, their name, our array) of each tensor of a module."""
    player, _, rest = link.ours.partition(".")
    params, there = f"params.{link.ours}", link.theirs
    if link.kind in (MAP, PIXELS):
        name = there if link.kind == MAP else f"{there}.weight"
        yield params, name, tensors[name].reshape(len(tensors[name]), *tensors[name].shape[-2:]).transpose(1, 2, 0)
    elif link.kind == NOISE:
        yield f"{params}.noise_strength", f"{there}.noise_strength", tensors[f"{there}.noise_strength"].reshape(())
        yield f"variables.{player}.noise.{rest}.map", f"{there}.noise_const", tensors[f"{there}.noise_const"][..., None]
    elif link.kind == AVERAGE:
        yield f"variables.{player}.averages.{rest}", there, tensors[there]
    elif link.kind == BIAS:
        yield f"{params}.bias", f"{there}.Bias", tensors[f"{there}.Bias"]
    elif link.kind == NORM:
        stats = f"variables.{player}.batch_stats.{rest}"
        for name, place in (("weight", f"{params}.scale"), ("bias", f"{params}.bias"),
                            ("running_mean", f"{stats}.mean"), ("running_var", f"{stats}.var")):
            yield place, f"{there}.{name}", tensors[f"{there}.{name}"]
    else:
        name = f"{there}.weight_orig" if f"{there}.weight_orig" in tensors else f"{there}.weight"
        yield f"{params}.kernel", name, KINDS[link.kind](tensors[name], link.channels)
        if f"{there}.bias" in tensors:
            bias = tensors[f"{there}.bias"]
            moved = to_maps(bias[:, None], link.channels)[0] if link.kind == "to_maps" else bias
            yield f"{params}.bias", f"{there}.bias", moved
        if name.endswith("_orig") or f"{there}.sn_u" in tensors:
            yield from _spectral(tensors, link, player, rest)


def _spectral(tensors: Tensors, link: Link, player: str, rest: str) -> Iterator[tuple[str, str, np.ndarray]]:
    """The vector u of spectral normalisation, and sigma = u^T W v.

    Here every use of the network goes one power iteration further, there only its training: the same once u stands.
    """
    place, _, layer = rest.rpartition(".")
    number = "0" if layer == "logits" else layer.rpartition("_")[2]
    norm = ".".join(filter(None, ("variables", player, "batch_stats", place, f"SpectralNorm_{number}")))
    if f"{link.theirs}.sn_u" in tensors:  # mimicry's names
        yield f"{norm}.{layer}/kernel/u", f"{link.theirs}.sn_u", tensors[f"{link.theirs}.sn_u"]
        yield f"{norm}.{layer}/kernel/sigma", f"{link.theirs}.sn_sigma", tensors[f"{link.theirs}.sn_sigma"][0]
        return
    u, v = tensors[f"{link.theirs}.weight_u"], tensors[f"{link.theirs}.weight_v"]
    sigma = u @ tensors[f"{link.theirs}.weight_orig"].reshape(len(u), -1) @ v
    yield f"{norm}.{layer}/kernel/u", f"{link.theirs}.weight_u", u[None]
    yield f"{norm}.{layer}/kernel/sigma", f"{link.theirs}.weight_orig", np.asarray(sigma, np.float32)
