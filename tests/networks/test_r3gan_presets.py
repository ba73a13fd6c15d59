"""The presets of R3GAN have as many parameters as the released networks, counted there, and its groups."""

import jax
import jax.numpy as jnp
import pytest

from gen.networks import ENCODERS
from tests.helpers import parameter_counts

PRESETS = {
    "": (32, 10, 20_781_952, 21_280_512),
    "unconditional": (32, 10, 20_732_160, 20_683_776),
    "ffhq64": (64, 0, 22_429_824, 22_381_440),
    "imagenet32": (32, 1_000, 82_914_304, 86_548_992),
    "imagenet64": (64, 1_000, 103_570_432, 107_205_120),
}
"""Variant to side, classes, and the parameters of generator and discriminator."""


@pytest.mark.slow
@pytest.mark.parametrize("variant", PRESETS)
def test_presets_have_as_many_parameters_as_the_released_ones(variant):
    side, classes, *expected = PRESETS[variant]
    assert parameter_counts(f"r3gan_cifar10.py:{variant}".rstrip(":"), side, classes) == tuple(expected)


def test_groups_of_a_size_follow_the_width_of_a_stage():
    """Cardinality 48 at 384 channels and 96 at 768, in the preset FFHQ-64: a group of 16 of the 2 x width."""
    network = ENCODERS["r3gan"](width=4, largest=8, depth=1, group_size=4)
    params = jax.eval_shape(lambda: network.init(jax.random.key(0), jnp.ones((1, 16, 16, 3)), train=True))["params"]
    kernels = [params[f"Block_{i}"]["Conv_1"]["kernel"].shape for i in range(3)]
    assert kernels == [(3, 3, 4, 8), (3, 3, 4, 16), (3, 3, 4, 16)]
