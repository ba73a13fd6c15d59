"""What a data set that is generated may take, so that a wrong number is an error and not a machine without memory."""

from gen.errors import UserError

MOST_BYTES = 2**30
MOST_MODES = 2**20


def check_size(examples: int, example_bytes: int) -> None:
    """Raises a UserError unless so many examples of so many bytes fit into `MOST_BYTES`."""
    if examples * example_bytes > MOST_BYTES:
        raise UserError(f"config.data asks for {examples} examples of {example_bytes} bytes to be generated; at most "
                        f"{MOST_BYTES / 2**30:g} GiB are: make them fewer or smaller.")


def check_modes(modes: int) -> None:
    """Raises a UserError unless a mixture may have so many components."""
    if modes > MOST_MODES:
        raise UserError(f"config.data asks for a mixture of {modes} Gaussians; at most {MOST_MODES} are made.")
