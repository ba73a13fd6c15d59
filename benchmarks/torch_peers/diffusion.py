"""DDPM (Ho et al. 2020) with a small U-Net on 32 x 32 images."""

import math

import torch
import torch.nn.functional as F
from peer import Peer, adam, drawn, images, ready, symmetric
from torch import nn

FEATURES, GROUPS = 128, 8


class Level(nn.Module):
    """log SNR [b] as a vector."""

    def __init__(self):
        super().__init__()
        self.register_buffer("wavelengths", torch.logspace(math.log10(64), 0, FEATURES // 2))
        self.layers = nn.Sequential(nn.Linear(FEATURES, FEATURES), nn.SiLU(), nn.Linear(FEATURES, FEATURES), nn.SiLU())

    def forward(self, log_snr):
        angle = 2 * math.pi * log_snr[:, None] / self.wavelengths
        return self.layers(torch.cat([angle.sin(), angle.cos()], -1))


class Block(nn.Module):
    """Two 3x3 convolutions, the second one's input scaled and shifted by the level."""

    def __init__(self, i: int, o: int):
        super().__init__()
        self.norms = nn.ModuleList([nn.GroupNorm(GROUPS, i), nn.GroupNorm(GROUPS, o)])
        self.convs = nn.ModuleList([nn.Conv2d(i, o, 3, 1, 1), nn.Conv2d(o, o, 3, 1, 1)])
        self.level = nn.Linear(FEATURES, 2 * o)
        self.shortcut = nn.Identity() if i == o else nn.Conv2d(i, o, 1)

    def forward(self, x, level):
        scale, shift = self.level(level)[:, :, None, None].chunk(2, 1)
        h = self.convs[0](F.silu(self.norms[0](x)))
        h = self.convs[1](F.silu(self.norms[1](h) * (1 + scale) + shift))
        return h + self.shortcut(x)


class Attention(nn.Module):
    """Over all pixels, added times a number (Zhang et al. 2019)."""

    def __init__(self, width: int):
        super().__init__()
        self.query, self.key = (nn.Conv2d(width, width // 8, 1, bias=False) for _ in range(2))
        self.value, self.output = (nn.Conv2d(*sides, 1, bias=False) for sides in ((width, width // 2),
                                                                                 (width // 2, width)))
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x):
        q, k, v = (layer(x).flatten(2) for layer in (self.query, self.key, self.value))
        weights = torch.softmax(q.transpose(1, 2) @ k, -1)
        return x + self.gamma * self.output((v @ weights.transpose(1, 2)).unflatten(2, x.shape[2:]))


class UNet(nn.Module):
    """A block at each size on the way down and up, attention at the smallest."""

    def __init__(self, widths: tuple[int, ...] = (32, 64, 64)):
        super().__init__()
        steps = list(zip(widths, widths[1:], strict=False))
        self.level, self.first = Level(), nn.Conv2d(3, widths[0], 3, 1, 1)
        self.down = nn.ModuleList(Block(width, width) for width in widths)
        self.smaller = nn.ModuleList(nn.Conv2d(i, o, 4, 2, 1) for i, o in steps)
        self.middle, self.attention = Block(widths[-1], widths[-1]), Attention(widths[-1])
        self.up = nn.ModuleList(Block(2 * width, width) for width in widths[::-1])
        self.larger = nn.ModuleList(nn.ConvTranspose2d(o, i, 4, 2, 1) for i, o in steps[::-1])
        self.last = nn.Sequential(nn.GroupNorm(GROUPS, widths[0]), nn.SiLU(), nn.Conv2d(widths[0], 3, 3, 1, 1))

    def forward(self, x, log_snr):
        level, h, skips = self.level(log_snr), self.first(x), []
        for i, block in enumerate(self.down):
            h = block(self.smaller[i - 1](h) if i else h, level)
            skips.append(h)
        h = self.attention(self.middle(h, level))
        for i, block in enumerate(self.up):
            h = block(torch.cat([h, skips.pop()], 1), level)
            h = self.larger[i](h) if i < len(self.larger) else h
        return self.last(h)


def ddpm(device: str, compiled: bool, batch: int = 32, timesteps: int = 1_000) -> Peer:
    """The unweighted loss of the noise, on the cosine schedule (Nichol & Dhariwal 2021)."""
    parts, (denoise,) = ready({"denoiser": UNet()}, device, compiled, True)
    optimizer = adam(parts["denoiser"].parameters(), 2e-4)
    data = images(10_000, 3, 32, device)
    t = (torch.arange(timesteps + 1, device=device) / timesteps + 0.008) / 1.008
    log_snrs = (-2 * torch.log(torch.tan(math.pi / 2 * t))).clamp(-20, 20)

    def step():
        x = symmetric(drawn(data, batch))
        log_snr = log_snrs[torch.randint(0, timesteps + 1, (batch,), device=device)]
        alpha, sigma = (torch.sigmoid(sign * log_snr).sqrt()[:, None, None, None] for sign in (1, -1))
        noise = torch.randn_like(x)
        optimizer.zero_grad(set_to_none=True)
        F.mse_loss(denoise(alpha * x + sigma * noise, log_snr), noise).backward()
        optimizer.step()

    return Peer(parts, step, batch)


WORKLOADS = {"ddpm_unet": ddpm}
