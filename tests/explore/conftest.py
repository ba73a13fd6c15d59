"""What the explorer's browser tests share."""

import pytest

from tests.explore.visitor import Server
from tests.figures import browser as chromium


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """A browser with a profile of its own."""
    driver = chromium.start(tmp_path_factory.mktemp("profile"))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def serving(tmp_path_factory):
    """A function that trains a config for two steps and serves the run, explored by `explorer`; each stops quietly."""
    servers = []

    def serve(config_of, explorer) -> Server:
        config = config_of(train__steps=2, train__evaluate_every=2, train__checkpoint_every=2)
        servers.append(Server(config, tmp_path_factory.mktemp("served")))
        servers[-1].explorer = explorer(servers[-1].run)
        return servers[-1]

    yield serve
    for server in servers:
        assert "Traceback" not in server.stop()
