"""TensorBoard's events: one chart for training and test, the config as text and hyperparameters, pictures together."""

import io
import json
import struct

import numpy as np
import pytest
from PIL import Image
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData

from gen.training.tensorboard import FOLDERS, Events, plain, tag
from tests.helpers import vae_config


def events(folder) -> list[Event]:
    """Events of a folder's files in the order TensorBoard reads them; a record is length, crc, bytes, crc."""
    found = []
    for path in sorted(folder.glob("events.*")):
        data = path.read_bytes()
        while data:
            (size,) = struct.unpack("<Q", data[:8])
            found.append(Event.FromString(data[12 : 12 + size]))
            data = data[16 + size :]
    return found


def visible(workdir) -> list[tuple[str, int, object]]:
    """(kind, step, value) as TensorBoard shows them: a session that starts at a step hides that step and later ones."""
    kept = []
    for kind, name in FOLDERS.items():
        of_kind = []
        for event in events(workdir / name):
            if event.HasField("session_log"):
                of_kind = [entry for entry in of_kind if entry[1] < event.step]
            of_kind += [(kind, event.step, value) for value in event.summary.value]
        kept += of_kind
    return kept


def charts(workdir) -> dict[str, dict[str, dict[int, float]]]:
    """Chart to kind to step to value."""
    found: dict = {}
    for kind, step, value in visible(workdir):
        if value.WhichOneof("value") == "simple_value":
            found.setdefault(value.tag, {}).setdefault(kind, {})[step] = value.simple_value
    return found


def test_training_and_test_are_one_chart(tmp_path):
    written = Events(tmp_path, 0)
    written.scalars(10, "train", {"elbo": -2.0, "images_per_s": 5.0})
    written.scalars(10, "eval", {"elbo": -3.0})
    written.close()
    assert charts(tmp_path) == {"What is reached/elbo": {"train": {10: -2.0}, "eval": {10: -3.0}},
                                "The run/images_per_s": {"train": {10: 5.0}}}


def test_a_session_hides_what_earlier_ones_wrote_of_its_steps(tmp_path):
    for first, value in ((0, 1.0), (20, 2.0)):
        written = Events(tmp_path, first)
        for step in (10, 20, 30):
            if step >= first:
                written.scalars(step, "train", {"loss": value})
                written.scalars(step, "eval", {"loss": -value})
        written.close()
    assert charts(tmp_path) == {tag("loss"): {"train": {10: 1.0, 20: 2.0, 30: 2.0},
                                              "eval": {10: -1.0, 20: -2.0, 30: -2.0}}}


def test_the_config_is_a_text_and_hyperparameters(tmp_path):
    config = vae_config(latents=3, encoder__hidden=(8, 16))
    written = Events(tmp_path, 0)
    written.config(config)
    written.close()
    values = {value.tag: value for _, _, value in visible(tmp_path)}
    text = values["config/text_summary"]
    assert text.metadata.plugin_data.plugin_name == "text"
    shown = text.tensor.string_val[0].decode()
    assert shown.startswith("```\n") and json.loads(shown.strip("`"))["latents"] == 3
    started = values["_hparams_/session_start_info"].metadata.plugin_data
    assert started.plugin_name == "hparams"
    hparams = HParamsPluginData.FromString(started.content).session_start_info.hparams
    assert hparams["latents"].number_value == 3 and hparams["likelihood.name"].string_value == "bernoulli"
    assert hparams["encoder.hidden"].string_value == "8,16"
    assert plain(True) is True and plain(None) == "None"


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_are_lossless_and_in_one_group(tmp_path, channels):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, channels), dtype=np.uint8)
    written = Events(tmp_path, 0)
    written.image(3, "samples", pixels)
    written.close()
    ((_, step, value),) = visible(tmp_path)
    assert step == 3 and value.tag == "pictures/samples"
    decoded = np.asarray(Image.open(io.BytesIO(value.image.encoded_image_string)))
    np.testing.assert_array_equal(decoded, np.broadcast_to(pixels, (5, 7, 3)))


def test_files_written_after_a_clock_went_back_come_last(tmp_path, monkeypatch):
    """TensorBoard reads the files of a folder in the order of their names."""
    for now in (1_000.0, 500.0, 2.0):
        monkeypatch.setattr("time.time", lambda now=now: now)
        Events(tmp_path, 0).close()
    for name in FOLDERS.values():
        found = sorted(path.name for path in (tmp_path / name).glob("events.*"))
        assert found == [f"events.out.tfevents.1000.00{i}000" for i in range(3)]
