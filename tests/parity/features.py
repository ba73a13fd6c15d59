"""DINOv2 and LPIPS against other implementations, with the same random weights.

The packages of the index interpolate DINOv2's positions in other ways than the released code does; so PyTorch's own
interpolation, told what the released code tells it, is compared, and its result given to them.
"""

import functools
import sys
import types
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

from gen.evaluation.pretrained import checkpoint, dinov2, lpips
from gen.evaluation.pretrained.dinov2 import PATCH, SIDE, SIZES
from gen.evaluation.pretrained.networks import NETWORKS
from gen.evaluation.pretrained.resize import DINOV2_RULES
from tests.parity.comparisons import against, optional
from tests.parity.inception import KEPT, bytes_of, images
from tests.parity.inception import SIZES as PIXELS
from tests.parity.metrics import with_torchvision
from tests.parity.references import torch

FEW = 2
"""Pairs of each size: the reference is float64."""

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@functools.cache
def dinov2_tensors(name: str) -> dict:
    """Random tensors with the names of the published checkpoint, about as large as they are there."""
    generator, found = torch.Generator().manual_seed(0), {}
    for tensor, shape in dinov2.tensor_shapes(SIZES[name]).items():
        noise = torch.randn(shape, generator=generator)
        fan_in = noise[0].numel() if tensor.endswith("weight") else 1
        found[tensor] = noise * fan_in**-0.5 if len(shape) in (2, 4) else 0.3 * noise
        if tensor.endswith(("gamma", "norm.weight", "norm1.weight", "norm2.weight")):
            found[tensor] = 1 + found[tensor]
    return found


@functools.cache
def dinov2_file(name: str) -> Path:
    """Their checkpoint, as PyTorch writes it; with the token of masks, as the published one."""
    path = Path(KEPT.name) / f"{name}.pth"
    torch.save(dinov2_tensors(name) | {"mask_token": torch.zeros(1, SIZES[name].width)}, path)
    return path


def positions(name: str):
    """The embeddings at 16 x 16 patches, by PyTorch as the released code asks for them, in float64."""
    embedding = dinov2_tensors(name)["pos_embed"].double()
    grid = embedding[:, 1:].reshape(1, 37, 37, -1).permute(0, 3, 1, 2)
    scale = (SIDE // PATCH + 0.1) / 37
    grid = torch.nn.functional.interpolate(grid, scale_factor=(scale, scale), mode="bicubic", antialias=False)
    return torch.cat([embedding[:, :1], grid.permute(0, 2, 3, 1).flatten(1, 2)], 1)


def of_transformers(name: str):
    """transformers' model with these weights, in float64: standardised images [n c h w] to the class token."""
    size, tensors, transformers = SIZES[name], dinov2_tensors(name), with_torchvision("transformers")
    config = transformers.Dinov2Config(
        hidden_size=size.width, num_hidden_layers=size.depth, num_attention_heads=size.heads, image_size=SIDE,
        patch_size=PATCH, attn_implementation="eager")
    state = {
        "embeddings.cls_token": tensors["cls_token"], "embeddings.position_embeddings": positions(name),
        "embeddings.mask_token": torch.zeros(1, size.width), "layernorm.weight": tensors["norm.weight"],
        "layernorm.bias": tensors["norm.bias"],
        "embeddings.patch_embeddings.projection.weight": tensors["patch_embed.proj.weight"],
        "embeddings.patch_embeddings.projection.bias": tensors["patch_embed.proj.bias"],
    }
    renamed = {"attn.proj": "attention.o_proj", "ls1.gamma": "layer_scale1.lambda1",
               "ls2.gamma": "layer_scale2.lambda1"}
    for key, tensor in tensors.items():
        if not key.startswith("blocks."):
            continue
        _, i, rest = key.split(".", 2)
        if rest.startswith("attn.qkv"):
            kind = rest.rpartition(".")[2]
            for part, values in zip("qkv", tensor.chunk(3), strict=True):
                state[f"encoder.layer.{i}.attention.{part}_proj.{kind}"] = values
        else:
            for ours, theirs in renamed.items():
                rest = rest.replace(ours, theirs)
            state[f"encoder.layer.{i}.{rest}"] = tensor
    model = transformers.Dinov2Model(config).double().eval()
    model.load_state_dict({key: values.double() for key, values in state.items()})
    return lambda x: model(x).last_hidden_state[:, 0]


def standardised(x: np.ndarray):
    """As dgm-eval brings images to DINOv2, by torchvision's transforms."""
    transforms = with_torchvision("torchvision.transforms")
    transform = transforms.Compose([
        transforms.Resize((SIDE, SIDE), transforms.InterpolationMode.BICUBIC), transforms.ToTensor(),
        transforms.Normalize(MEAN, DEVIATION)])
    return torch.stack([transform(Image.fromarray(image)) for image in x])


def features(name: str, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of bytes, ours from the checkpoint's file and theirs."""
    variables = dinov2.converted(SIZES[name], checkpoint.read(dinov2_file(name)))
    network, rule = NETWORKS[f"dinov2_{name}"], DINOV2_RULES["pillow"]
    found = jax.jit(network.outputs)(variables, jnp.asarray(rule.scaled(rule.resized(x))))["features"]
    with torch.no_grad():
        return found, of_transformers(name)(standardised(x).double()).numpy()


@against("torch", "DINOv2's checkpoint (ViT-B/14), read without it", 0)
def dinov2_checkpoint():
    read = checkpoint.read(dinov2_file("vitb14"))
    yield {name: read[name] for name in dinov2_tensors("vitb14")}, {
        name: values.numpy() for name, values in dinov2_tensors("vitb14").items()}


@against("torch", "DINOv2's positions, 37 x 37 to 16 x 16: bicubic, offset 0.1, no antialiasing", 2e-7)
def dinov2_positions():
    ours = dinov2.positions(dinov2_tensors("vitb14")["pos_embed"].numpy(), SIDE // PATCH)
    yield ours, positions("vitb14").numpy()


@against("torchvision", "DINOv2's rule `pillow` at 32, 64, 512 px and 40x300, and the standardised image", 1e-6)
def resize_pillow():
    rule = DINOV2_RULES["pillow"]
    for x in (*map(images, PIXELS), images(320)[:, :40, :300]):
        yield rule.scaled(rule.resized(x)), standardised(x).permute(0, 2, 3, 1).numpy()


@against("clean-fid", "DINOv2's rule `clean` at 32, 64, 512 px and 40x300", 0)
def resize_clean():
    resizer = with_torchvision("cleanfid.resize").make_resizer("PIL", False, "bicubic", (SIDE, SIDE))
    for x in (*map(images, PIXELS), images(320)[:, :40, :300]):
        yield DINOV2_RULES["clean"].resized(x), np.stack([resizer(image) for image in x])


@against("torch", "DINOv2's rule `unclipped` at 32, 64, 512 px and 40x300", 1e-6)
def resize_unclipped():
    for x in (*map(images, PIXELS), images(320)[:, :40, :300]):
        theirs = torch.nn.functional.interpolate(bytes_of(x).double(), (SIDE, SIDE), mode="bicubic", antialias=True)
        yield DINOV2_RULES["unclipped"].resized(x), theirs.permute(0, 2, 3, 1).numpy()


@against("transformers", "DINOv2 ViT-B/14, features by `pillow`, an image of 32, 64, 512 px", 5e-6)
def dinov2_base():
    for size in PIXELS:
        yield features("vitb14", images(size, 1))


@functools.cache
def of_lpips(trunk: str):
    """lpips's module with random weights, and heads that are positive as the published ones, in float64."""
    with_torchvision("torchvision.models")
    sys.modules.setdefault("IPython", types.ModuleType("IPython"))
    package = optional("lpips")
    torch.manual_seed(0)
    model = package.LPIPS(net=trunk, pretrained=False, pnet_rand=True, verbose=False)
    for name, values in model.state_dict().items():
        if name.startswith("lin"):
            values.abs_()
        elif name.endswith("bias"):
            values.normal_(0, 0.1)
    return model.double().eval()


@functools.cache
def lpips_variables(trunk: str):
    """Of the two files that its weights would be published in."""
    trunk_tensors, heads = {}, {}
    for name, values in of_lpips(trunk).state_dict().items():
        if name.startswith("net.slice"):
            trunk_tensors["features." + name.split(".", 2)[2]] = values.float()
        elif name.startswith("lin"):
            heads[name] = values.float()
    tensors = {}
    for part, values in (("trunk", trunk_tensors), ("heads", heads)):
        path = Path(KEPT.name) / f"{trunk}-{part}.pth"
        torch.save(values, path)
        tensors |= checkpoint.read(path)
    return lpips.converted(trunk, tensors)


def lpips_of(trunk: str, sizes: tuple[int, ...] = (32, 64)):
    """Pairs of distances, and of the gradients of their sum by the first image."""
    ours = jax.jit(jax.value_and_grad(lambda x, y: lpips.distances(trunk)(lpips_variables(trunk), x, y).sum()))
    for size in sizes:
        x, y = (np.float32(images(size, FEW, seed)) / 127.5 - 1 for seed in (1, 2))
        theirs, other = (torch.tensor(np.float64(image.transpose(0, 3, 1, 2)), requires_grad=True) for image in (x, y))
        distance = of_lpips(trunk)(theirs, other).sum()
        distance.backward()
        found, gradient = ours(jnp.asarray(x), jnp.asarray(y))
        yield found, distance.item()
        yield gradient, theirs.grad.permute(0, 2, 3, 1).numpy()


@against("lpips", f"LPIPS with VGG16 and its gradient, {FEW} pairs of 32 px", 5e-6)
def lpips_vgg():
    yield from lpips_of("vgg", (32,))


@against("lpips", f"LPIPS with AlexNet and its gradient, {FEW} pairs of 32 and 64 px", 5e-6)
def lpips_alex():
    yield from lpips_of("alex")
