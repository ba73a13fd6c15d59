"""What every workload is here, and layers that several have."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import nn


class Peer(NamedTuple):
    """A workload ready to be timed.

    Attributes:
      parts: its networks before compilation, by the names that this project's config has for them.
      step: one training step.
      batch: examples of a step.
    """

    parts: dict[str, nn.Module]
    step: Callable[[], None]
    batch: int


def ready(parts: dict[str, nn.Module], device: str, compiled: bool, images: bool) -> tuple[dict[str, nn.Module], list]:
    """The networks on the device, of images with channels last, and what is called: compiled or not."""
    layout = {"memory_format": torch.channels_last} if images else {}
    parts = {name: part.to(device, **layout) for name, part in parts.items()}
    return parts, [torch.compile(part) if compiled else part for part in parts.values()]


def adam(parameters, rate: float, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8) -> torch.optim.Adam:
    """In one fused kernel."""
    return torch.optim.Adam(parameters, rate, betas, eps=eps, fused=True)


def drawn(data: torch.Tensor, batch: int) -> torch.Tensor:
    """Examples of an array in memory, drawn with replacement."""
    return data[torch.randint(0, len(data), (batch,), device=data.device)]


def images(n: int, channels: int, side: int, device: str) -> torch.Tensor:
    """Bytes [n c h w], channels last, as a data set holds them."""
    x = torch.randint(0, 256, (n, channels, side, side), dtype=torch.uint8, device=device)
    return x.to(memory_format=torch.channels_last)


def symmetric(x: torch.Tensor) -> torch.Tensor:
    """Bytes in [-1, 1]."""
    return x.float() / 127.5 - 1


class Residual(nn.Module):
    """h + branch(h)."""

    def __init__(self, *branch: nn.Module):
        super().__init__()
        self.branch = nn.Sequential(*branch)

    def forward(self, h):
        return h + self.branch(h)
