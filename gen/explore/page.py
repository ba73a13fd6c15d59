"""The explorer's page (NiceGUI, which needs no internet): its widgets, over what `gen.explore.space` computes."""

import asyncio
import base64
import io
import socket

import numpy as np
from jaxtyping import UInt8
from nicegui import app, events, run, ui
from scipy.special import expit
from starlette.middleware.trustedhost import TrustedHostMiddleware

from gen.errors import UserError
from gen.explore import space
from gen.explore.guard import Guard
from gen.explore.space import Explorer, Latent, View
from gen.figures.grids import to_pillow

HOST = "127.0.0.1"
FORM_BYTES = 1_000_000
"""Of a request beside the picture in it."""

DECODING = asyncio.Lock()
"""One upload is decoded at a time, in a thread of its own: its memory is bounded, and nobody waits."""

SLIDERS = 64
"""Latents with a slider at most: the first in order."""

THROTTLE = 0.05
"""Seconds between two events of one widget."""

CIRCLE = '<circle cx="{x}" cy="{y}" r="{r}" fill="none" stroke="#d9480f" stroke-width="{width}"/>'
STYLE = ".pixelated img { image-rendering: pixelated; touch-action: none; border-radius: 4px; }"


def serve(explorer: Explorer, port: int) -> None:
    """Serves the page on the loopback interface until it is interrupted.

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
    app.add_middleware(Guard, hosts=(HOST, "localhost"), most=space.MAX_BYTES + FORM_BYTES)
    app.on_startup(lambda: print(f"Explorer of {explorer.run.workdir}: http://{HOST}:{port}", flush=True))
    ui.run(lambda: Page(explorer).build(), host=HOST, port=port, title=f"{explorer.run.workdir}", reload=False,
           show=False, show_welcome_message=False, dark=None)


class Page:
    """One visitor's place in the latent space, and the widgets that show and move it.

    Attributes:
      z: the latent before truncation; `psi`: the truncation; `label`: of a conditional model.
      axes: the latents of the pad.
    """

    def __init__(self, explorer: Explorer):
        self.explorer = explorer
        self.seed, self.psi, self.label = 0, 1.0, 0
        self.z = space.draw(explorer, self.seed)
        self.axes = [int(explorer.space.order[0]), int(explorer.space.order[min(1, len(self.z) - 1)])]
        self.sliders: dict[int, ui.slider] = {}
        self.wanted, self.drawn, self.pad_is_old, self.busy = 1, 0, True, False

    @property
    def shown(self) -> Latent:
        """The latent that is decoded."""
        return space.truncated(self.z, self.psi)

    def build(self) -> None:
        """Makes the widgets and draws them for the first time."""
        shown = self.explorer.run
        ui.add_css(STYLE)
        ui.label(f"{shown.workdir}: {shown.config.family} of {shown.config.data.name}, step {shown.step:,}").classes(
            "text-lg")
        with ui.row().classes("w-full items-start gap-4"):
            self.build_picture()
            with ui.column().classes("flex-1 gap-4"):
                with ui.row().classes("w-full items-start gap-4"):
                    if len(self.z) > 1:
                        self.build_pad()
                    self.build_sliders()
                if not self.explorer.stage:
                    self.build_traversals()
        ui.timer(0, self.draw, once=True)

    def build_picture(self) -> None:
        """What is shown, its score, and where to go from here: another sample, the origin, an image."""
        with ui.card().classes("w-80"):
            self.picture = ui.interactive_image().classes("w-full pixelated explorer-picture")
            if "discriminate" in self.explorer.run.program.family.methods:
                self.score = ui.label().classes("explorer-score")
            with ui.row():
                ui.button("New sample", on_click=self.sample)
                ui.button("Origin", on_click=lambda: self.go(np.zeros_like(self.z))).props("outline")
            if self.explorer.encodes:
                self.build_upload()

    def build_upload(self) -> None:
        """Where an image is chosen that is encoded: from a file, or from the test examples."""
        ui.separator()
        ui.label("Encode an image, and move from there")
        with ui.row().classes("items-center"):
            ui.button("Test image", on_click=self.encode_test_image).props("outline")
            self.inverted = ui.switch("invert colours")
        ui.upload(label="Picture", auto_upload=True, max_file_size=space.MAX_BYTES, on_upload=self.encode_upload,
                  on_rejected=lambda: self.complain(f"A picture has {space.MAX_BYTES // 10**6} MB at most.")
                  ).props(f'accept="{",".join("." + name.lower() for name in (*space.FORMATS, "JPG"))}"'
                          ).classes("w-full")
        self.encoded = ui.image().classes("w-24 pixelated explorer-encoded")
        self.encoded.set_visibility(False)

    def build_pad(self) -> None:
        """The plane of two latents."""
        with ui.card().classes("w-96"):
            self.pad = ui.interactive_image(events=["pointerdown", "pointermove"]).classes(
                "w-full pixelated cursor-crosshair explorer-pad")
            self.pad.on("mouse", self.point, throttle=THROTTLE)
            with ui.row().classes("w-full no-wrap"):
                for i, direction in enumerate(("to the right", "upwards")):
                    ui.select(self.names(), value=self.axes[i], label=direction,
                              on_change=lambda e, i=i: self.choose(i, e.value)).classes("w-1/2")

    def build_sliders(self) -> None:
        """Label, truncation, and a slider for each latent."""
        known = self.explorer.space
        with ui.card().classes("grow").style("min-width: 20rem"):
            if self.explorer.classes:
                self.labels = ui.select(list(range(self.explorer.classes)), value=0, label="label",
                                        on_change=self.relabel).classes("w-24 explorer-label")
            self.slider("truncation", 0.0, 1.0, 1.0, self.truncate)
            with ui.column().classes("w-full gap-0 overflow-y-auto").style("max-height: 28rem"):
                for i in map(int, known.order[:SLIDERS]):
                    self.sliders[i] = self.slider(self.names()[i], float(known.low[i]), float(known.high[i]),
                                                  float(self.z[i]), lambda e, i=i: self.move(i, e.args))

    def build_traversals(self) -> None:
        """What each of the first latents does from here."""
        with ui.card().classes("w-full"):
            ui.button("Traverse the first latents from here", on_click=self.traverse).props("outline")
            self.traversals = ui.image().classes("pixelated explorer-traversals").style("max-width: 40rem")
            self.traversals.set_visibility(False)

    def slider(self, name: str, low: float, high: float, value: float, moved) -> ui.slider:
        """A labelled slider; `moved` hears of the visitor's movements alone."""
        with ui.row().classes("w-full items-center no-wrap"):
            ui.label(name).classes("w-28 shrink-0 text-sm text-right")
            slider = ui.slider(min=low, max=high, step=0.01, value=value).classes("grow").props(f'aria-label="{name}"')
            ui.label().bind_text_from(slider, "value", lambda v: f"{v:.2f}").classes("w-12 text-sm")
        return slider.on("update:model-value", moved, throttle=THROTTLE)

    def names(self) -> dict[int, str]:
        """The latents with a slider, in order; those that carry nothing are marked."""
        active = self.explorer.space.active
        return {int(i): f"z{i}" + ("" if active[i] else " (inactive)") for i in self.explorer.space.order[:SLIDERS]}

    async def draw(self) -> None:
        """Draws the newest state; what changes meanwhile is drawn once, after it, and the pad when nothing moves."""
        if self.busy:
            return
        self.busy = True
        try:
            while self.drawn != self.wanted or self.pad_is_old:
                if self.drawn != self.wanted:
                    self.drawn = self.wanted
                    self.show(await run.io_bound(space.view, self.explorer, self.shown, self.label))
                else:
                    self.pad_is_old = False
                    await self.draw_pad()
        finally:
            self.busy = False

    async def draw_pad(self) -> None:
        """The images over the plane of the pad, or nothing where points are shown."""
        if len(self.z) == 1:
            return
        if self.explorer.stage:
            picture = np.full((space.SIDE, space.SIDE, 1), 235, np.uint8)
        else:
            picture = await run.io_bound(space.pad, self.explorer, self.shown, tuple(self.axes), self.label)
        self.pad_size = picture.shape[:2]
        self.pad.set_source(data_url(picture))
        self.mark_pad()

    def show(self, view: View) -> None:
        """Puts a view on the page."""
        self.picture.set_source(data_url(view.picture))
        if view.mark:
            self.picture.set_content(circle(view.picture.shape, view.mark))
        if view.logit is not None:
            self.score.set_text(f"Discriminator: logit {view.logit:+.2f}, D = {expit(view.logit):.3f}")
        if len(self.z) > 1 and not self.pad_is_old:
            self.mark_pad()

    def mark_pad(self) -> None:
        """A circle at the shown latent."""
        known = self.explorer.space
        right, up = ((self.shown[i] - known.low[i]) / (known.high[i] - known.low[i]) for i in self.axes)
        self.pad.set_content(circle(self.pad_size, (float(right), 1 - float(up))))

    async def changed(self, pad: bool = True) -> None:
        """Asks for a drawing; `pad`: the images on the pad change too."""
        self.wanted += 1
        self.pad_is_old |= pad
        await self.draw()

    async def move(self, i: int, value: float) -> None:
        """One latent, by its slider."""
        self.z = np.where(np.arange(len(self.z)) == i, np.float32(value), self.z)
        await self.changed(pad=i not in self.axes)

    async def go(self, z: Latent) -> None:
        """All latents at once."""
        self.z = z
        for i, slider in self.sliders.items():
            slider.value = float(z[i])
        await self.changed()

    async def point(self, e: events.GenericEventArguments) -> None:
        """The two latents of the pad, by a pointer that is pressed."""
        if e.args["buttons"] != 1 or not self.drawn:
            return
        known, (height, width) = self.explorer.space, self.pad_size
        shares = np.clip((e.args["image_x"] / width, 1 - e.args["image_y"] / height), 0, 1)
        for i, share in zip(self.axes, shares, strict=True):
            value = known.low[i] + share * (known.high[i] - known.low[i])
            self.z = np.where(np.arange(len(self.z)) == i, np.float32(value / max(self.psi, 1e-3)), self.z)
            self.sliders[i].value = float(self.z[i])
        await self.changed(pad=False)

    async def choose(self, i: int, axis: int) -> None:
        """Another latent for an axis of the pad."""
        self.axes[i] = axis
        await self.changed()

    async def relabel(self, e: events.ValueChangeEventArguments) -> None:
        """Another label."""
        self.label = e.value
        await self.changed()

    async def truncate(self, e: events.GenericEventArguments) -> None:
        """Another truncation."""
        self.psi = e.args
        await self.changed()

    async def sample(self) -> None:
        """Another sample of the prior."""
        self.seed += 1
        await self.go(await run.io_bound(space.draw, self.explorer, self.seed))

    async def traverse(self) -> None:
        """Draws the traversals."""
        picture = await run.io_bound(space.traversals, self.explorer, self.shown, self.label)
        self.traversals.set_source(data_url(picture))
        self.traversals.set_visibility(True)

    async def encode_test_image(self) -> None:
        """The next test example."""
        self.seed += 1
        image, label = await run.io_bound(space.test_image, self.explorer, self.seed)
        if self.explorer.classes:
            self.labels.value = label
        await self.encode(image, label)

    async def encode_upload(self, e: events.UploadEventArguments) -> None:
        """An uploaded picture, or a message that says what is wrong with it."""
        e.sender.reset()
        try:
            content = await e.file.read()
            async with DECODING:
                image = await run.io_bound(
                    space.read_upload, content, self.explorer.run.spec, self.inverted.value)
        except UserError as error:
            self.complain(f"{e.file.name}: {error}")
            return
        await self.encode(image, self.label)

    async def encode(self, image: UInt8[np.ndarray, "h w c"], label: int) -> None:
        """Goes to the latent of an image, untruncated."""
        self.encoded.set_source(data_url(image))
        self.encoded.set_visibility(True)
        await self.go(await run.io_bound(space.encode, self.explorer, image, label))

    def complain(self, message: str) -> None:
        """Shows what is wrong."""
        ui.notify(message, type="negative", close_button=True, timeout=0)


def data_url(image: UInt8[np.ndarray, "h w c"]) -> str:
    """A PNG in a URL: unlike a file that the next one replaces, it is there however late the browser loads it."""
    content = io.BytesIO()
    to_pillow(image).save(content, format="PNG")
    return "data:image/png;base64," + base64.b64encode(content.getvalue()).decode()


def circle(shape: tuple[int, ...], place: tuple[float, float]) -> str:
    """An SVG circle at shares of the width and height of a picture of this shape, or on its border."""
    (height, width), (x, y) = shape[:2], np.clip(place, 0, 1)
    return CIRCLE.format(x=x * width, y=y * height, r=0.02 * width, width=0.008 * width)
