"""The network of a convolutional hierarchy, whose way down prior and posterior share.

One way down serves posterior samples, prior samples and densities: they differ in where the latents of a layer come
from (`Source`).
"""

import math
from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from gen.distributions import Distribution, Normal, kl_normal
from gen.distributions.likelihoods import Likelihood
from gen.families import common
from gen.networks.hierarchies import Maps, into_patches, out_of_patches
from gen.networks.loops import in_turn


class Source(NamedTuple):
    """Where the latents of a layer come from: they are given, or are those of standard normal noise.

    Attributes:
      z: the latents, flat [*k b d]; None for samples.
      noise: of the sample, of q where the layer sees features of x, else of p.
      warmth: factor on the scale of p; None for 1.
    """

    z: Float[Array, "*k b d"] | None = None
    noise: Float[Array, "*k b d"] | None = None
    warmth: Float[Array, ""] | None = None

    def of(self, normal: Normal) -> Float[Array, "*k b d"]:
        """The latents, those of noise as a sample of this distribution."""
        if self.z is not None:
            return self.z
        scale = jnp.exp(normal.log_scale)
        return normal.loc + (scale if self.warmth is None else self.warmth * scale) * self.noise


class Layer(NamedTuple):
    """Latents of a layer, q of them and p, flat, [*k b d], and KL(q || p); q and the KL are None where no x is seen.

    The KL is of the layer, so that equal layers in a loop share its program.
    """

    z: Float[Array, "*k b d"]
    q: Normal | None
    p: Normal
    kl: Float[Array, "*k b"] | None


class Turn(NamedTuple):
    """A layer on the way down: the shape (h, w, c) of its latents and the modules of both networks, see `at` there."""

    shape: tuple[int, ...]
    encoder: PyTree
    decoder: PyTree


class TopDown(nn.Module):
    """p(z_1..z_L), p(x|z_1..z_L) and q(z_1..z_L|x) of an encoder and a decoder as `gen.networks.hierarchies` has them.

    Latents and their distributions are flat, [*k b d]; examples have the shape `shape`. Where `relative`, the encoder
    gives what is added to the prior's mean and log-scale: q = N(m + dm, (s ds)^2) for p = N(m, s^2) (Vahdat & Kautz
    2020, section 3.2).
    """

    encoder: nn.Module
    decoder: nn.Module
    likelihood: Likelihood
    layers: tuple[tuple[int, ...], ...]
    side: tuple[int, int]
    patch: int
    shape: tuple[int, ...]
    relative: bool = False

    def features(self, x: Float[Array, "b h w c"], *, train: bool) -> tuple[Maps, ...]:
        """The features of x of each layer, of examples with zeros around them, in patches."""
        extra = [n - m for n, m in zip(self.side, self.shape, strict=False)]
        x = into_patches(jnp.pad(x, [(0, 0), *((n // 2, n - n // 2) for n in extra), (0, 0)]), self.patch)
        return self.encoder(x, train=train)

    def descend(self, batch: tuple[int, ...], sources: Sequence[Source], x: Float[Array, "b h w c"] | None = None, *,
                train: bool) -> tuple[list[Layer], Distribution]:
        """(the layers from the one next to x, p(x|z)) for latents of these sources, from the top down.

        Args:
          batch: sizes of the batch, [*k b].
          x: what q looks at; None for p alone.
        """
        features = [None] * len(self.layers) if x is None else self.features(x, train=train)
        h, found = self.decoder.start(math.prod(batch)), []
        for (side, _), part in groupby(range(len(self.layers))[::-1], lambda i: self.layers[i][:2]):
            part = list(part)
            turns = [Turn(self.layers[i], None if x is None else self.encoder.at(i), self.decoder.at(i)) for i in part]
            h, layers = in_turn(lambda turn, h, inputs: self.layer(turn, h, batch, *inputs, train=train), turns,
                                self.decoder.arrive(side, h), [(features[i], sources[i]) for i in part])
            found += layers
        return found[::-1], self.output(h, batch, train=train)

    def layer(self, turn: Turn, h: Maps, batch: tuple[int, ...], features: Float[Array, "b _i _j _g"] | None,
              source: Source, *, train: bool) -> tuple[Maps, Layer]:
        """(the state for the layer below, what the layer has)."""
        rows = len(h)
        _, put_back = common.as_rows(jnp.zeros((*batch, 1)))

        def flat(moments: tuple[Array, Array]) -> Normal:
            return Normal(*(put_back(v.reshape(rows, -1)) for v in moments))

        p, after = self.decoder.prior(turn.decoder, h, train=train)
        q = None
        if features is not None:
            seen = features.reshape(len(features), -1)
            seen, _ = common.as_rows(jnp.broadcast_to(seen, (*batch, seen.shape[-1])))
            moments = self.encoder.posterior(turn.encoder, h, seen.reshape(rows, *features.shape[1:]), train=train)
            q = flat(jax.tree.map(jnp.add, p, moments) if self.relative else moments)
        z = source.of(flat(p) if q is None else q)
        flat_z, _ = common.as_rows(z)
        h = self.decoder.merge(turn.decoder, after, flat_z.reshape(rows, *turn.shape), train=train)
        kl = None if q is None else kl_normal(q, flat(p)).sum(-1)
        return h, Layer(z, q, flat(p), kl)

    def output(self, h: Maps, batch: tuple[int, ...], *, train: bool) -> Distribution:
        """p(x|z): outputs as pixels, without those around the example."""
        _, put_back = common.as_rows(jnp.zeros((*batch, 1)))
        out = put_back(self.decoder.output(h, train=train).astype(jnp.float32))
        (top, left), (h, w) = ((n - m) // 2 for n, m in zip(self.side, self.shape, strict=False)), self.shape[:2]
        return self.likelihood(out_of_patches(out, self.patch)[..., top:top + h, left:left + w, :])
