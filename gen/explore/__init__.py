"""The explorer: a page, on this machine alone, on which one moves through the latents or codes of a trained run."""

import importlib.util

from gen.errors import UserError
from gen.runs import Run


def serve(run: Run, port: int) -> None:
    """Serves the page of a run on the loopback interface until it is interrupted.

    Raises:
      UserError: its library is not installed, the port is taken, or the run cannot be explored (`space.explorer`,
        `codes.explorer`).
    """
    if importlib.util.find_spec("nicegui") is None:
        raise UserError("The explorer's page needs NiceGUI: pip install -e '.[explore]'")
    from gen.explore import code_page, codes, neighbours, page, server, space

    if run.program.family.methods.keys() >= codes.METHODS:
        explorer, kind = codes.explorer(run), code_page.Page
    else:
        explorer, kind = space.explorer(run), page.Page
    training = neighbours.Training(run, explorer.dataset)
    server.serve(lambda: kind(explorer, training).build(), run, port)
