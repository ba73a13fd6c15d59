"""GANs: on points, DCGAN, the residual networks of SNGAN, R3GAN with both of its penalties."""

from functools import partial

import torch
import torch.nn.functional as F
from peer import Peer, Residual, adam, drawn, images, ready, symmetric
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm


class Maxout(nn.Linear):
    """The largest of five linear functions for each output."""

    def __init__(self, i: int, o: int, pieces: int = 5):
        super().__init__(i, o * pieces)
        self.shape = (o, pieces)

    def forward(self, x):
        return super().forward(x).unflatten(-1, self.shape).amax(-1)


def ring_parts() -> dict[str, nn.Module]:
    """PacGAN's networks for points (Lin et al. 2018)."""
    hidden = [part for i in (2, 400, 400, 400)
              for part in (nn.Linear(i, 400, bias=False), nn.BatchNorm1d(400), nn.ReLU())]
    return {"generator": nn.Sequential(*hidden, nn.Linear(400, 2)),
            "discriminator": nn.Sequential(Maxout(2, 200), Maxout(200, 200), Maxout(200, 200), nn.Linear(200, 1))}


def dcgan_parts(width: int = 64, latents: int = 100) -> dict[str, nn.Module]:
    """Radford et al. 2016, for 32 x 32 images."""
    def up(i, o):
        return nn.ConvTranspose2d(i, o, 4, 2, 1, bias=False), nn.BatchNorm2d(o), nn.ReLU()

    def down(i, o):
        return nn.Conv2d(i, o, 4, 2, 1, bias=False), nn.BatchNorm2d(o), nn.LeakyReLU(0.2)

    wide = 4 * width
    return {
        "generator": nn.Sequential(
            nn.Linear(latents, 16 * wide, bias=False), nn.Unflatten(-1, (wide, 4, 4)), nn.BatchNorm2d(wide), nn.ReLU(),
            *up(wide, 2 * width), *up(2 * width, width), nn.ConvTranspose2d(width, 3, 4, 2, 1), nn.Tanh()),
        "discriminator": nn.Sequential(
            nn.Conv2d(3, width, 4, 2, 1), nn.LeakyReLU(0.2), *down(width, 2 * width), *down(2 * width, wide),
            nn.Flatten(), nn.Linear(16 * wide, 1))}


class Up(nn.Module):
    """x + F(x) at twice the size."""

    def __init__(self, width: int):
        super().__init__()
        self.larger = nn.Upsample(scale_factor=2)
        self.shortcut = nn.Conv2d(width, width, 1)
        self.branch = nn.Sequential(
            nn.BatchNorm2d(width), nn.ReLU(), nn.Upsample(scale_factor=2), nn.Conv2d(width, width, 3, 1, 1),
            nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, width, 3, 1, 1))

    def forward(self, x):
        return self.branch(x) + self.larger(self.shortcut(x))


class Down(nn.Module):
    """x + F(x), halved if asked for, with spectral normalisation."""

    def __init__(self, i: int, o: int, down: bool, first: bool):
        super().__init__()
        halve = [nn.AvgPool2d(2)] if down else []
        self.branch = nn.Sequential(
            *([] if first else [nn.ReLU()]), spectral_norm(nn.Conv2d(i, o, 3, 1, 1)), nn.ReLU(),
            spectral_norm(nn.Conv2d(o, o, 3, 1, 1)), *halve)
        self.shortcut = nn.Sequential(*halve, spectral_norm(nn.Conv2d(i, o, 1))) if down else nn.Identity()

    def forward(self, x):
        return self.branch(x) + self.shortcut(x)


class Sum(nn.Module):
    """Over pixels."""

    def forward(self, x):
        return x.sum((2, 3))


def resnet_parts(wide: int = 128, width: int = 64, latents: int = 128) -> dict[str, nn.Module]:
    """Miyato et al. 2018, appendix B.4, at half their width."""
    return {
        "generator": nn.Sequential(
            nn.Linear(latents, 16 * wide), nn.Unflatten(-1, (wide, 4, 4)), Up(wide), Up(wide), Up(wide),
            nn.BatchNorm2d(wide), nn.ReLU(), nn.Conv2d(wide, 3, 3, 1, 1), nn.Tanh()),
        "discriminator": nn.Sequential(
            Down(3, width, True, True), Down(width, width, True, False), Down(width, width, False, False),
            Down(width, width, False, False), nn.ReLU(), Sum(), spectral_norm(nn.Linear(width, 1)))}


class Biased(nn.Module):
    """Leaky ReLU after a bias of each channel."""

    def __init__(self, width: int):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(width, 1, 1))

    def forward(self, x):
        return F.leaky_relu(x + self.bias, 0.2)


def r3gan_block(width: int, groups: int = 4, expansion: int = 2) -> Residual:
    """1x1, grouped 3x3 and 1x1 convolutions around an identity (Huang et al. 2024)."""
    inner = width * expansion
    return Residual(nn.Conv2d(width, inner, 1, bias=False), Biased(inner),
                    nn.Conv2d(inner, inner, 3, 1, 1, groups=groups, bias=False), Biased(inner),
                    nn.Conv2d(inner, width, 1, bias=False))


class Resample(nn.Module):
    """The filter [1, 3, 3, 1] along both axes, with half or twice the size."""

    def __init__(self, up: bool):
        super().__init__()
        line = torch.tensor([1.0, 3.0, 3.0, 1.0]) / (4 if up else 8)
        self.register_buffer("kernel", torch.outer(line, line)[None, None])
        self.filter = F.conv_transpose2d if up else F.conv2d

    def forward(self, x):
        kernel = self.kernel.expand(x.shape[1], 1, 4, 4)
        return self.filter(x, kernel, stride=2, padding=1, groups=x.shape[1])


class Basis(nn.Module):
    """A learned map times a linear function of the latents."""

    def __init__(self, latents: int, width: int):
        super().__init__()
        self.linear, self.basis = nn.Linear(latents, width, bias=False), nn.Parameter(torch.randn(width, 4, 4))

    def forward(self, z):
        return self.basis * self.linear(z)[:, :, None, None]


class Projection(nn.Module):
    """The sum of a map times a learned one."""

    def __init__(self, width: int):
        super().__init__()
        self.basis = nn.Parameter(torch.randn(width, 4, 4) / 4)

    def forward(self, h):
        return (h * self.basis).sum((2, 3))


def r3gan_parts(widths: tuple[int, ...] = (32, 64, 128, 256), depth: int = 2, latents: int = 64
                ) -> dict[str, nn.Module]:
    """Four stages between 32 x 32 images and maps of 4 x 4."""
    def stage(width):
        return [r3gan_block(width) for _ in range(depth)]

    generator, discriminator = [Basis(latents, widths[-1])], [nn.Conv2d(3, widths[0], 1, bias=False)]
    for wide, narrow in zip(widths[::-1], widths[-2::-1], strict=False):
        generator += [*stage(wide), nn.Conv2d(wide, narrow, 1, bias=False), Resample(up=True)]
    for narrow, wide in zip(widths, widths[1:], strict=False):
        discriminator += [*stage(narrow), Resample(up=False), nn.Conv2d(narrow, wide, 1, bias=False)]
    return {
        "generator": nn.Sequential(*generator, *stage(widths[0]), nn.Conv2d(widths[0], 3, 1, bias=False), nn.Tanh()),
        "discriminator": nn.Sequential(*discriminator, *stage(widths[-1]), Projection(widths[-1]),
                                       nn.Linear(widths[-1], 1, bias=False))}


def non_saturating(d, real, fake):
    """Goodfellow et al. 2014: what the discriminator minimises, and, without real examples, the generator."""
    if real is None:
        return F.softplus(-d(fake)).mean()
    return F.softplus(-d(real)).mean() + F.softplus(d(fake)).mean()


def hinge(d, real, fake):
    """Lim & Ye 2017. Without batch norm both halves may pass together."""
    if real is None:
        return -d(fake).mean()
    on_real, on_fake = d(torch.cat([real, fake])).chunk(2)
    return F.relu(1 - on_real).mean() + F.relu(1 + on_fake).mean()


def gan(parts, loss, data, device: str, compiled: bool, batch: int, latents: int, rate: float, betas) -> Peer:
    """A step of each player; the generator answers with the fakes that the discriminator has seen."""
    parts, (g, d) = ready(parts, device, compiled, data.ndim == 4)
    of_g, of_d = (adam(part.parameters(), rate, betas) for part in parts.values())

    def step():
        real = drawn(data, batch)
        real = symmetric(real) if real.ndim == 4 else real
        fake = g(torch.randn(batch, latents, device=device))
        of_d.zero_grad(set_to_none=True)
        loss(d, real, fake.detach()).backward()
        of_d.step()
        of_g.zero_grad(set_to_none=True)
        loss(d, None, fake).backward()
        of_g.step()

    return Peer(parts, step, batch)


def r3gan(device: str, compiled: bool, batch: int = 64, latents: int = 64, gamma: float = 1.0) -> Peer:
    """Relativistic pairs with R1 and R2. The discriminator is not compiled: its gradient is differentiated again."""
    parts = {name: part.to(device, memory_format=torch.channels_last) for name, part in r3gan_parts().items()}
    g, d = torch.compile(parts["generator"]) if compiled else parts["generator"], parts["discriminator"]
    of_g, of_d = (adam(part.parameters(), 2e-4, (0.0, 0.99)) for part in parts.values())
    data = images(10_000, 3, 32, device)

    def step():
        real = symmetric(drawn(data, batch)).requires_grad_()
        fake = g(torch.randn(batch, latents, device=device))
        seen = fake.detach().requires_grad_()
        on_real, on_fake = d(real), d(seen)
        slopes = torch.autograd.grad((on_real.sum() + on_fake.sum()), (real, seen), create_graph=True)
        penalty = sum(slope.square().sum((1, 2, 3)).mean() for slope in slopes)
        of_d.zero_grad(set_to_none=True)
        (F.softplus(on_fake - on_real).mean() + gamma / 2 * penalty).backward()
        of_d.step()
        of_g.zero_grad(set_to_none=True)
        F.softplus(d(real.detach()) - d(fake)).mean().backward()
        of_g.step()

    return Peer(parts, step, batch)


def of_images(parts, loss, latents: int, betas, device: str, compiled: bool) -> Peer:
    """A GAN of images like CIFAR-10's, in batches of 64."""
    return gan(parts(), loss, images(10_000, 3, 32, device), device, compiled, 64, latents, 2e-4, betas)


WORKLOADS = {
    "gan_ring": lambda device, compiled: gan(
        ring_parts(), non_saturating, torch.randn(100_000, 2, device=device), device, compiled, 100, 2, 1e-4,
        (0.8, 0.999)),
    "dcgan_32": partial(of_images, dcgan_parts, non_saturating, 100, (0.5, 0.999)),
    "resnet_gan": partial(of_images, resnet_parts, hinge, 128, (0.0, 0.9)),
    "r3gan_small": r3gan,
}
