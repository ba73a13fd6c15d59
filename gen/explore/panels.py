"""Cards that the explorer's pages share: an image to encode, files to take along, the nearest training images."""

import asyncio
from collections.abc import Awaitable, Callable

import numpy as np
from jaxtyping import UInt8
from nicegui import events, ui

from gen.data import Dataset
from gen.errors import UserError
from gen.explore import images, saved
from gen.explore.neighbours import NEIGHBOURS, Training
from gen.explore.widgets import complain, computed, data_url, show
from gen.runs import Run

DECODING = asyncio.Lock()
"""One upload is decoded at a time, in a thread of its own: its memory is bounded, and nobody waits."""

CHOOSE = """<q-btn flat no-caps class="full-width" icon="add" label="Choose a picture, or drop it here"
  @click="props.pickFiles"><q-uploader-add-trigger /></q-btn>"""

Image = UInt8[np.ndarray, "h w c"]


class Encoder:
    """A card where an image is chosen that is encoded: from a file, or from the test examples.

    Attributes:
      run, dataset: the run, and its data set where it is there.
      chosen: called with the image; and with its label, None of an upload.
      next: () -> the number of the next test example.
    """

    def __init__(self, shown: Run, dataset: Dataset | None, chosen: Callable[[Image, int | None], Awaitable[None]],
                 next: Callable[[], int]):
        self.run, self.dataset, self.chosen, self.next = shown, dataset, chosen, next
        with ui.card().classes("w-full"):
            self.build()

    def build(self) -> None:
        """Makes the widgets."""
        ui.label("Encode an image, and move from there")
        with ui.row().classes("items-center"):
            if self.dataset is not None:
                ui.button("Test image", on_click=self.encode_test_image).props("outline").tooltip(
                    "Encodes the next example that the model was not trained on")
            self.inverted = ui.switch("invert colours").tooltip("Turns black into white in pictures that you choose")
        self.build_upload()
        self.encoded = ui.image().classes("w-24 pixelated explorer-encoded").props('alt="The image that was encoded"')
        self.encoded.set_visibility(False)

    def build_upload(self) -> None:
        """Where a file is chosen, or dropped."""
        kinds = ",".join("." + name.lower() for name in (*images.FORMATS, "JPG"))
        upload = ui.upload(auto_upload=True, max_file_size=images.MAX_BYTES, on_upload=self.encode_upload,
                           on_rejected=lambda: complain(f"A picture has {images.MAX_BYTES // 10**6} MB at most."))
        upload.props(f'accept="{kinds}" flat bordered').classes("w-full").add_slot("header", CHOOSE)
        upload.add_slot("list", "<span></span>")
        upload.tooltip("The middle of the picture, in the size of the data")

    async def encode_test_image(self) -> None:
        """The next test example."""
        await self.show(*await computed(images.test_image, self.run, self.dataset, self.next()))

    async def encode_upload(self, e: events.UploadEventArguments) -> None:
        """An uploaded picture, or a message that says what is wrong with it."""
        e.sender.reset()
        try:
            content = await e.file.read()
            async with DECODING:
                image = await computed(images.read_upload, content, self.run.spec, self.inverted.value)
        except UserError as error:
            complain(f"{e.file.name}: {error}")
            return
        await self.show(image, None)

    async def show(self, image: Image, label: int | None) -> None:
        """Shows the image and has it encoded."""
        show(self.encoded, image)
        await self.chosen(image, label)


def saving(shown: Run, picture: Callable[[], Image], what: str, numbers: Callable[[], dict]) -> None:
    """Buttons that save the picture at its own pixels, and `what` it is made of as .npy and as .json.

    `numbers` returns the array under the name `what`, and what else the .json says.
    """
    def save(kind: str) -> None:
        made = {"png": lambda: saved.png(picture()), "npy": lambda: saved.npy(numbers()[what]),
                "json": lambda: saved.as_json(shown, **numbers())}
        ui.download.content(made[kind](), f"{saved.stem(shown)}_{'picture' if kind == 'png' else what}.{kind}")

    with ui.row().classes("items-center gap-1"):
        ui.label("Save").classes("text-sm")
        for kind, about in (("png", "The picture at its own pixels"), ("npy", f"The {what}, for numpy.load"),
                            ("json", f"The {what} as text, with the run's name and step")):
            ui.button(kind, on_click=lambda kind=kind: save(kind)).props(
                f'flat dense no-caps aria-label="Save .{kind}"').classes("px-2").tooltip(about)


class Nearest:
    """A card with the training images nearest to the picture of the moment when one asks.

    Attributes:
      training: the training images.
      picture: () -> the picture.
    """

    def __init__(self, training: Training, picture: Callable[[], Image]):
        self.training, self.picture = training, picture
        with ui.card().classes("w-full"):
            self.button = ui.button("Nearest training images", on_click=self.look).props("outline").tooltip(
                f"The {NEIGHBOURS} training images whose pixels differ least from the picture")
            self.row = ui.row().classes("gap-2 explorer-nearest")
            self.row.set_visibility(False)

    async def look(self) -> None:
        """Shows them, or says why there are none."""
        image = self.picture()
        self.button.disable()
        try:
            found = await computed(self.training.nearest, image)
        except UserError as error:
            complain(str(error))
            return
        finally:
            self.button.enable()
        self.row.clear()
        self.row.set_visibility(True)
        with self.row:
            self.captioned(image, "shown")
            for i, (near, distance) in enumerate(zip(found.images, found.distances, strict=True)):
                label = "" if found.labels is None else f"label {found.labels[i]}"
                self.captioned(near, f"{distance:.3f}", label)

    def captioned(self, image: Image, *lines: str) -> None:
        """An image over lines of text."""
        with ui.column().classes("gap-0 items-center"):
            ui.image(data_url(image)).classes("w-16 pixelated").props(f'alt="{" ".join(lines)}"')
            for text in lines:
                ui.label(text).classes("text-xs")
