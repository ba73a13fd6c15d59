"""BigGAN and StyleGAN2, as small as two cores bear; a step as in `gan.py`, without lazy penalties."""

import math
from functools import partial

import torch
import torch.nn.functional as F
from gan import Down, Sum, hinge, non_saturating, of_images
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm


class Attention(nn.Module):
    """x + gamma W softmax(q k^T) v; keys and values the largest of 2x2 pixels."""

    def __init__(self, width: int):
        super().__init__()
        sizes = {"query": (width, width // 8), "key": (width, width // 8), "value": (width, width // 2),
                 "output": (width // 2, width)}
        self.layers = nn.ModuleDict({name: spectral_norm(nn.Conv2d(i, o, 1, bias=False))
                                     for name, (i, o) in sizes.items()})
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x):
        q, k, v = (self.layers[name](x) for name in ("query", "key", "value"))
        k, v = (F.max_pool2d(a, 2).flatten(2) for a in (k, v))
        weights = torch.softmax(q.flatten(2).transpose(1, 2) @ k, -1)
        mixed = (v @ weights.transpose(1, 2)).unflatten(2, x.shape[2:])
        return x + self.gamma * self.layers["output"](mixed)


class Conditional(nn.Module):
    """Batch norm whose scale and shift are linear in c."""

    def __init__(self, width: int, size: int):
        super().__init__()
        self.norm = nn.BatchNorm2d(width, affine=False)
        self.scale, self.shift = (spectral_norm(nn.Linear(size, width, bias=False)) for _ in range(2))

    def forward(self, x, c):
        return self.norm(x) * (1 + self.scale(c))[:, :, None, None] + self.shift(c)[:, :, None, None]


class ConditionalUp(nn.Module):
    """x + F(x) at twice the size."""

    def __init__(self, width: int, size: int):
        super().__init__()
        self.norms = nn.ModuleList(Conditional(width, size) for _ in range(2))
        self.convs = nn.ModuleList(spectral_norm(nn.Conv2d(width, width, k, 1, k // 2)) for k in (3, 3, 1))

    def forward(self, x, c):
        h = self.convs[0](F.interpolate(F.relu(self.norms[0](x, c)), scale_factor=2))
        h = self.convs[1](F.relu(self.norms[1](h, c)))
        return h + F.interpolate(self.convs[2](x), scale_factor=2)


class BigGAN(nn.Module):
    """The generator for 32 x 32 images without labels."""

    def __init__(self, width: int, latents: int):
        super().__init__()
        wide, self.part = 4 * width, latents // 4
        self.first = spectral_norm(nn.Linear(self.part, 16 * wide))
        self.blocks = nn.ModuleList(ConditionalUp(wide, self.part) for _ in range(3))
        self.attention, self.norm = Attention(wide), nn.BatchNorm2d(wide)
        self.last = spectral_norm(nn.Conv2d(wide, 3, 3, 1, 1))

    def forward(self, z):
        first, *others = z.split(self.part, 1)
        h = self.first(first).unflatten(1, (-1, 4, 4))
        for i, (block, c) in enumerate(zip(self.blocks, others, strict=True)):
            h = self.attention(block(h, c)) if i == 1 else block(h, c)
        return torch.tanh(self.last(F.relu(self.norm(h))))


def biggan_parts(width: int = 24, latents: int = 80) -> dict[str, nn.Module]:
    """A quarter of PyTorch-StudioGAN's width."""
    wide = 2 * width
    return {"generator": BigGAN(width, latents),
            "discriminator": nn.Sequential(
                Down(3, wide, True, True), Attention(wide), Down(wide, wide, True, False),
                Down(wide, wide, False, False), Down(wide, wide, False, False), nn.ReLU(), Sum(),
                spectral_norm(nn.Linear(wide, 1)))}


class Equal(nn.Module):
    """A dense layer or a convolution whose weights of N(0, 1) are scaled where they are used."""

    def __init__(self, i: int, o: int, size: int = 0, bias: float | None = 0.0, rate: float = 1.0, padding: int = 0,
                 stride: int = 1):
        super().__init__()
        shape = (o, i, size, size) if size else (o, i)
        self.weight = nn.Parameter(torch.randn(shape) / rate)
        self.bias = None if bias is None else nn.Parameter(torch.full((o,), bias))
        self.gain, self.rate = rate / math.sqrt(math.prod(shape[1:])), rate
        self.apply_to = partial(F.conv2d, padding=padding, stride=stride) if size else F.linear

    def forward(self, x):
        return self.apply_to(x, self.weight * self.gain, None if self.bias is None else self.bias * self.rate)


def active(x):
    """sqrt 2 times leaky ReLU."""
    return F.leaky_relu(x, 0.2) * math.sqrt(2)


class Filter(nn.Module):
    """[1, 3, 3, 1] along both axes, of a stride."""

    def __init__(self, padding: int, stride: int = 1, gain: float = 1.0, up: bool = False):
        super().__init__()
        line = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8 * gain
        self.register_buffer("kernel", torch.outer(line, line)[None, None])
        self.filter = partial(F.conv_transpose2d if up else F.conv2d, padding=padding, stride=stride)

    def forward(self, x):
        return self.filter(x, self.kernel.expand(x.shape[1], 1, 4, 4), groups=x.shape[1])


class Styled(nn.Module):
    """A modulated 3x3 with noise; inputs and outputs are scaled in place of the weights."""

    def __init__(self, i: int, o: int, style: int, up: bool):
        super().__init__()
        self.affine, self.weight = Equal(style, i, bias=1.0), nn.Parameter(torch.randn(o, i, 3, 3))
        self.strength, self.bias = nn.Parameter(torch.zeros(())), nn.Parameter(torch.zeros(o, 1, 1))
        self.filter = Filter(1, gain=2.0) if up else None

    def forward(self, x, w):
        style = self.affine(w)
        scale = torch.rsqrt(style.square() @ self.weight.square().sum((2, 3)).T + 1e-8)
        x = x * style[:, :, None, None]
        if self.filter is None:
            y = F.conv2d(x, self.weight, padding=1)
        else:
            y = self.filter(F.conv_transpose2d(x, self.weight.transpose(0, 1), stride=2))
        y = y * scale[:, :, None, None]
        return active(y + self.strength * torch.randn_like(y[:, :1]) + self.bias)


class ToImage(nn.Module):
    """A modulated 1x1, not demodulated."""

    def __init__(self, i: int, style: int):
        super().__init__()
        self.affine, self.layer = Equal(style, i, bias=1.0), nn.Conv2d(i, 3, 1)

    def forward(self, x, w):
        return self.layer(x * self.affine(w)[:, :, None, None] / math.sqrt(x.shape[1]))


class StyleGAN2(nn.Module):
    """The generator: images of all sizes are summed."""

    def __init__(self, widths: tuple[int, ...], style: int, latents: int):
        super().__init__()
        self.mapping = nn.ModuleList([Equal(latents, style, rate=0.01), Equal(style, style, rate=0.01)])
        self.constant = nn.Parameter(torch.randn(widths[0], 4, 4))
        pairs = zip((widths[0], *widths), widths, strict=False)
        self.layers = nn.ModuleList(
            nn.ModuleList(([Styled(i, o, style, True)] if k else []) + [Styled(o, o, style, False)])
            for k, (i, o) in enumerate(pairs))
        self.images = nn.ModuleList(ToImage(width, style) for width in widths)
        self.larger = Filter(1, 2, gain=2.0, up=True)

    def forward(self, z):
        w = z * torch.rsqrt(z.square().mean(1, keepdim=True) + 1e-8)
        for layer in self.mapping:
            w = active(layer(w))
        h, image = self.constant.expand(len(z), -1, -1, -1), 0
        for k, (layers, to_image) in enumerate(zip(self.layers, self.images, strict=True)):
            for layer in layers:
                h = layer(h, w)
            image = to_image(h, w) + (self.larger(image) if k else 0)
        return image


class Halving(nn.Module):
    """A residual block of StyleGAN2's discriminator."""

    def __init__(self, i: int, o: int):
        super().__init__()
        self.first, self.second = Equal(i, i, 3, padding=1), Equal(i, o, 3, stride=2)
        self.skip, self.smooth, self.halve = Equal(i, o, 1, None), Filter(2), Filter(1, 2)

    def forward(self, x):
        h = active(self.second(self.smooth(active(self.first(x)))))
        return (h + self.skip(self.halve(x))) / math.sqrt(2)


class Active(nn.Module):
    """A layer, then sqrt 2 times leaky ReLU."""

    def __init__(self, layer: nn.Module):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return active(self.layer(x))


def stylegan2_parts(widths: tuple[int, ...] = (32, 64, 128, 128), style: int = 128, latents: int = 128
                    ) -> dict[str, nn.Module]:
    """Four sizes between 32 x 32 images and maps of 4 x 4."""
    wide = widths[-1]
    return {"generator": StyleGAN2(widths[::-1], style, latents),
            "discriminator": nn.Sequential(
                Active(Equal(3, widths[0], 1)), *(Halving(i, o) for i, o in zip(widths, widths[1:], strict=False)),
                Active(Equal(wide, wide, 3, padding=1)), nn.Flatten(), Active(Equal(16 * wide, wide)), Equal(wide, 1))}


WORKLOADS = {
    "biggan_small": partial(of_images, biggan_parts, hinge, 80, (0.0, 0.999)),
    "stylegan2_small": partial(of_images, stylegan2_parts, non_saturating, 128, (0.0, 0.99)),
}
