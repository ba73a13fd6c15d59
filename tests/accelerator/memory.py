"""Prints the memory that a dry run states of a training, and the allocator's peak after it; 0 where it counts none."""

import jax

from gen.training import cost, program, sharding
from tests.accelerator import sides
from tests.accelerator.models import built, config


def main() -> None:
    one = config("gan", generator__width=32, discriminator__width=32, train__batch_size=1024)
    with sides.on_cpu():
        made, data, dataset = built(one)
        state = made.init(0, data)
    stated = cost.device_memory(made, sharding.mesh(one), one, dataset.spec, dataset.train)
    counted = sides.device().memory_stats()
    if counted:
        state, data = jax.device_put((state, program.on_device(dataset.train)), sides.device())
        jax.block_until_ready(made.train(state, data, 3))
        counted = sides.device().memory_stats()
    print(stated, counted["peak_bytes_in_use"] if counted else 0)


if __name__ == "__main__":
    main()
