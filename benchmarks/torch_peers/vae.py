"""Autoencoders: Burda et al. 2016 with one stochastic layer, a convolutional VAE, VQ-VAE with a PixelCNN beside it."""

import math

import torch
import torch.nn.functional as F
from peer import Peer, Residual, adam, drawn, images, ready
from torch import nn


class Heads(nn.Module):
    """Location and log-scale of the posterior, from features."""

    def __init__(self, network: nn.Module, features: int, latents: int):
        super().__init__()
        self.network, self.loc, self.log_scale = network, nn.Linear(features, latents), nn.Linear(features, latents)

    def forward(self, x):
        h = self.network(x)
        return self.loc(h), self.log_scale(h)


def tanh(*sizes: int) -> list[nn.Module]:
    """Dense layers, each with tanh."""
    return [part for i, o in zip(sizes, sizes[1:], strict=False) for part in (nn.Linear(i, o), nn.Tanh())]


def mlp_parts() -> dict[str, nn.Module]:
    """784-200-200-50 and back."""
    return {"encoder": Heads(nn.Sequential(nn.Flatten(), *tanh(784, 200, 200)), 200, 50),
            "decoder": nn.Sequential(*tanh(50, 200, 200), nn.Linear(200, 784))}


def conv_parts() -> dict[str, nn.Module]:
    """DCGAN's networks for 28 x 28 images, 50 latents."""
    encoder = nn.Sequential(
        nn.Conv2d(1, 64, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(64, 128, 4, 2, 1, bias=False), nn.BatchNorm2d(128),
        nn.LeakyReLU(0.2), nn.Flatten())
    decoder = nn.Sequential(
        nn.Linear(50, 7 * 7 * 128, bias=False), nn.Unflatten(-1, (128, 7, 7)), nn.BatchNorm2d(128), nn.ReLU(),
        nn.ConvTranspose2d(128, 64, 4, 2, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU(),
        nn.ConvTranspose2d(64, 1, 4, 2, 1), nn.Flatten())
    return {"encoder": Heads(encoder, 7 * 7 * 128, 50), "decoder": decoder}


def bound(encode, decode, x, samples: int):
    """Burda et al. 2016, eq. 8, in nats; the ELBO with one sample."""
    loc, log_scale = encode(x)
    noise = torch.randn(samples, *loc.shape, device=x.device)
    z = loc + noise * log_scale.exp()
    logits = decode(z.flatten(0, 1)).view(samples, len(x), -1)
    target = x.flatten(1).expand_as(logits)
    log_weight = (-F.binary_cross_entropy_with_logits(logits, target, reduction="none").sum(-1)
                  + (0.5 * noise**2 - 0.5 * z**2 + log_scale).sum(-1))
    return (torch.logsumexp(log_weight, 0) - math.log(samples)).mean()


def vae(parts, device: str, compiled: bool, batch: int, samples: int, eps: float, conv: bool) -> Peer:
    """MNIST's pixels are drawn anew at each step."""
    parts, (encode, decode) = ready(parts, device, compiled, conv)
    optimizer = adam([p for part in parts.values() for p in part.parameters()], 1e-3, eps=eps)
    data = images(60_000, 1, 28, device)

    def step():
        pixels = drawn(data, batch).float() / 255
        x = (torch.rand_like(pixels) < pixels).float()
        optimizer.zero_grad(set_to_none=True)
        (-bound(encode, decode, x, samples)).backward()
        optimizer.step()

    return Peer(parts, step, batch)


def stack(width: int, inner: int) -> list[nn.Module]:
    """Two residual blocks, then ReLU (van den Oord et al. 2017, section 4.1)."""
    blocks = [Residual(nn.ReLU(), nn.Conv2d(width, inner, 3, 1, 1, bias=False), nn.ReLU(),
                       nn.Conv2d(inner, width, 1, bias=False)) for _ in range(2)]
    return [*blocks, nn.ReLU()]


class Masked(nn.Conv2d):
    """Sees the rows above, what is left of the centre, and the centre if asked for."""

    def __init__(self, i: int, o: int, size: int, centre: bool):
        super().__init__(i, o, size, padding=size // 2)
        mask = torch.zeros(size, size)
        mask[: size // 2] = 1
        mask[size // 2, : size // 2 + centre] = 1
        self.register_buffer("mask", mask)

    def forward(self, x):
        return F.conv2d(x, self.weight * self.mask, self.bias, padding=self.padding)


class PixelCNN(nn.Module):
    """Logits [b k h w] of codes [b h w]."""

    def __init__(self, codes: int, width: int = 128, blocks: int = 6):
        super().__init__()
        self.embed, half = nn.Embedding(codes, width), width // 2
        self.layers = nn.Sequential(
            Masked(width, width, 7, False),
            *(Residual(nn.ReLU(), nn.Conv2d(width, half, 1), nn.ReLU(), Masked(half, half, 3, True), nn.ReLU(),
                       nn.Conv2d(half, width, 1)) for _ in range(blocks)),
            nn.ReLU(), nn.Conv2d(width, width, 1), nn.ReLU(), nn.Conv2d(width, codes, 1))

    def forward(self, codes):
        return self.layers(self.embed(codes).permute(0, 3, 1, 2))


def vqvae_parts(width: int = 128, inner: int = 32, codes: int = 512, size: int = 64) -> dict[str, nn.Module]:
    """32 x 32 images to 8 x 8 codes; the projection to the codes' vectors belongs to the encoder."""
    encoder = nn.Sequential(
        nn.Conv2d(3, width // 2, 4, 2, 1), nn.ReLU(), nn.Conv2d(width // 2, width, 4, 2, 1), nn.ReLU(),
        nn.Conv2d(width, width, 3, 1, 1), *stack(width, inner), nn.Conv2d(width, size, 1))
    decoder = nn.Sequential(
        nn.Conv2d(size, width, 3, 1, 1), *stack(width, inner), nn.ConvTranspose2d(width, width // 2, 4, 2, 1),
        nn.ReLU(), nn.ConvTranspose2d(width // 2, 3, 4, 2, 1))
    return {"encoder": encoder, "decoder": decoder, "prior": PixelCNN(codes)}


def vqvae(device: str, compiled: bool, batch: int = 32, codes: int = 512, size: int = 64, decay: float = 0.99) -> Peer:
    """A codebook of moving averages (van den Oord et al. 2017, appendix A.1), a prior that learns beside it."""
    parts, (encode, decode, prior) = ready(vqvae_parts(), device, compiled, True)
    optimizer = adam([p for name in ("encoder", "decoder") for p in parts[name].parameters()], 3e-4)
    prior_optimizer = adam(parts["prior"].parameters(), 1e-3)
    data = images(10_000, 3, 32, device)
    counts, sums = torch.ones(codes, device=device), torch.randn(codes, size, device=device)

    def step():
        x = drawn(data, batch).float() / 255
        e = sums / counts[:, None]
        z = encode(x)
        vectors = z.permute(0, 2, 3, 1).reshape(-1, size)
        chosen = (e.square().sum(-1) - 2 * vectors.detach() @ e.T).argmin(-1)
        quantised = e[chosen].view(batch, 8, 8, size).permute(0, 3, 1, 2)
        decoded = decode(z + (quantised - z).detach())
        optimizer.zero_grad(set_to_none=True)
        (F.mse_loss(decoded, x) / 0.06 + 0.25 * F.mse_loss(z, quantised)).backward()
        optimizer.step()
        prior_optimizer.zero_grad(set_to_none=True)
        grid = chosen.view(batch, 8, 8)
        (F.cross_entropy(prior(grid), grid, reduction="none").sum((1, 2)).mean()).backward()
        prior_optimizer.step()
        with torch.no_grad():
            one_hot = F.one_hot(chosen, codes).float()
            counts.lerp_(one_hot.sum(0) + 1e-5, 1 - decay)
            sums.lerp_(one_hot.T @ vectors, 1 - decay)

    return Peer(parts, step, batch)


WORKLOADS = {
    "vae_mlp": lambda device, compiled: vae(mlp_parts(), device, compiled, 100, 1, 1e-4, False),
    "iwae_mlp": lambda device, compiled: vae(mlp_parts(), device, compiled, 100, 5, 1e-4, False),
    "conv_vae": lambda device, compiled: vae(conv_parts(), device, compiled, 64, 1, 1e-8, True),
    "vqvae": vqvae,
}
