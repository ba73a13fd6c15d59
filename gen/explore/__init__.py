"""The explorer: a page, on this machine alone, on which one moves through the latents of a trained run."""

import importlib.util

from gen.errors import UserError
from gen.runs import Run


def serve(run: Run, port: int) -> None:
    """Serves the page of a run on the loopback interface until it is interrupted.

    Raises:
      UserError: its library is not installed, the port is taken, or the run cannot be explored (`space.explorer`).
    """
    if importlib.util.find_spec("nicegui") is None:
        raise UserError("The explorer's page needs NiceGUI: pip install -e '.[explore]'")
    from gen.explore import page, space

    page.serve(space.explorer(run), port)
