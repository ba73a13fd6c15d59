"""The explorer's server: on this machine alone, behind the guard."""

import socket
from collections.abc import Callable

from nicegui import app, ui
from starlette.middleware.trustedhost import TrustedHostMiddleware

from gen.errors import UserError
from gen.explore import images
from gen.explore.guard import Guard
from gen.runs import Run

HOST = "127.0.0.1"
FORM_BYTES = 1_000_000
"""Of a request beside the picture in it."""


def serve(build: Callable[[], None], run: Run, port: int) -> None:
    """Serves the page that `build` makes for each visitor on the loopback interface until it is interrupted.

    Raises:
      UserError: the port is taken.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise UserError(f"--port={port} cannot be used: {error.strerror}. Choose another.") from error
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])
    app.add_middleware(Guard, hosts=(HOST, "localhost"), most=images.MAX_BYTES + FORM_BYTES)
    app.on_startup(lambda: print(f"Explorer of {run.workdir}: http://{HOST}:{port}", flush=True))
    ui.run(build, host=HOST, port=port, title=f"{run.workdir}", reload=False, show=False, show_welcome_message=False,
           dark=None)
