"""What training costs, before it starts."""

import jax
import pytest

from gen.data import load
from gen.training import program, sharding
from gen.training.cost import device_memory, step_flops
from tests.helpers import vae_config


def cost(**overrides):
    """(FLOPs of a step, bytes of each device) of a VAE that is mostly matrices."""
    config = vae_config(encoder__hidden="512", decoder__hidden="512", **overrides)
    dataset = load(config.data)
    mesh = sharding.mesh(config)
    made = program.make(config, dataset.spec, mesh)
    return (step_flops(made, config, dataset.spec, dataset.train),
            device_memory(made, mesh, config, dataset.spec, dataset.train))


@pytest.mark.slow
def test_flops_and_memory_of_one_device_and_of_eight():
    parameters = 64 * 512 + 512 + 2 * (512 * 2 + 2) + 2 * 512 + 512 + 512 * 64 + 64
    data = sum(x.nbytes for x in load(vae_config().data).train.values())
    flops, alone = cost()
    products = 6 * 16 * (parameters - 2 * 512 - 64 - 4) - 2 * 16 * 64 * 512
    assert products < flops < products + 25 * parameters
    assert 3 * 4 * parameters + data < alone < 3 * 3 * 4 * parameters + 2 * data
    flops_of_eight, split = cost(mesh__data=8, mesh__fsdp="true")
    assert flops_of_eight == flops
    assert split - data < (alone - data) / 2
    assert jax.device_count() == 8
