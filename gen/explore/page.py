"""The explorer's page of latents (NiceGUI, which needs no internet): widgets over what `gen.explore.space` computes."""

import numpy as np
from jaxtyping import UInt8
from nicegui import events, ui
from scipy.special import expit

from gen.explore import address, space
from gen.explore.neighbours import Training
from gen.explore.panels import Encoder, Nearest, saving
from gen.explore.pins import Pins
from gen.explore.space import Explorer, Latent, View
from gen.explore.widgets import (
    ARROWS,
    THROTTLE,
    Latest,
    Mark,
    begin,
    computed,
    data_url,
    header,
    keyboard,
    letter,
    line,
    opened,
    ring,
    show,
    slider,
)

STEP, LEAP = 0.01, 0.1
"""Shares of the pad that an arrow moves by, and an arrow with Shift."""

HELP = {
    "Picture": "What the model makes of the latent where you are. Save it, or the latent, with the buttons below it.",
    "Pad": "A plane of two latents; the others stay as they are. Press and move with mouse or finger, or reach the pad "
           "with Tab and use the arrow keys, with Shift in larger steps.",
    "Sliders": "One latent each, the most informative first. Truncation draws all of them to 0, where examples are "
               "typical and alike.",
    "Encode": "Goes to the latent of a picture.",
    "Pin A, Pin B": "Keep two places; a row shows what lies between them.",
    "Nearest training images": "Shows how new the picture is. The number is the root mean square difference of pixels: "
                               "0 is the same picture, 1 is black against white.",
    "Address": "The page's address says where you are, pins included. Copy it, and open it again with the same model. "
               "Of very many latents it keeps the sample's number alone.",
}
"""Heading to its sentences."""

ON_STAGE = {
    "Picture": "The data (grey) and samples of the model. The ring is the point that the model makes of the latent "
               "where you are.",
    "Pad": "A plane of two latents; the others stay as they are. Each latent has the colour of the place that it goes "
           "to, as the samples in the picture. Press and move with mouse or finger, or reach the pad with Tab and use "
           "the arrow keys, with Shift in larger steps.",
    "Pin A, Pin B": "Keep two places; the picture and the pad show the way between them.",
}
"""The same of points, in place of those above."""


class Page:
    """One visitor's place in the latent space, and the widgets that show and move it.

    Attributes:
      z: the latent before truncation, the sample of `seed` where it is `sampled`.
      psi: the truncation; `label`: of a conditional model.
      axes: the latents of the pad.
    """

    def __init__(self, explorer: Explorer, training: Training):
        self.explorer, self.training = explorer, training
        self.query = opened()
        self.opened = address.read(self.query, explorer.space, explorer.classes)
        self.seed, z, self.psi, self.label, axes, *_ = self.opened
        self.z, self.sampled = np.zeros(len(explorer.space.order), np.float32) if z is None else z, z is None
        self.axes = list(axes)
        self.sliders: dict[int, ui.slider] = {}
        self.seen: View | None = None
        self.pad_size, self.pad_is_old, self.way_is_old = None, True, True
        self.latest = Latest(self.draw)

    @property
    def shown(self) -> Latent:
        """The latent that is decoded."""
        return space.truncated(self.z, self.psi)

    def place(self) -> str:
        """The address's query of what is shown."""
        return address.write(address.Place(
            self.seed, None if self.sampled else self.z, self.psi, self.label, tuple(self.axes),
            self.pins.pinned["A"], self.pins.pinned["B"], self.pins.path))

    def build(self) -> None:
        """Makes the widgets and has them drawn for the first time."""
        points = self.explorer.stage is not None
        words = HELP | (ON_STAGE if points else {})
        absent = (set() if self.explorer.encodes else {"Encode"}) | (
            {"Nearest training images"} if points else set()) | ({"Pad"} if len(self.z) == 1 else set())
        header(self.explorer.run, {name: text for name, text in words.items() if name not in absent})
        with ui.element().classes("explorer-layout wide" if points else "explorer-layout"):
            self.build_picture()
            with ui.column().classes("explorer-main gap-4"):
                with ui.row().classes("w-full items-start gap-4"):
                    if len(self.z) > 1:
                        self.build_pad()
                    with ui.column().classes("flex-1 gap-4").style("min-width: min(100%, 20rem)"):
                        self.build_sliders()
                        self.pins = Pins(self.explorer, self.opened, lambda: self.z, self.walk, self.other_way)
                        if not points:
                            Nearest(self.training, lambda: self.seen.picture)
                if not points:
                    self.build_traversals()
            if self.explorer.encodes:
                Encoder(self.explorer.run, self.explorer.dataset, self.encode, self.next_seed)
        begin(self.place, self.begin, self.query)

    def build_picture(self) -> None:
        """What is shown, its score, and where to go from here: another sample, the origin."""
        with ui.card().classes("w-full"):
            kind = "" if self.explorer.stage else "pixelated"
            self.picture = ui.interactive_image().classes(f"{kind} explorer-picture").props(
                'role=img aria-label="What the model makes of the latent"')
            if "discriminate" in self.explorer.run.program.family.methods:
                self.score = ui.label().classes("explorer-score").tooltip(
                    "How real the discriminator finds it: D is near 1 for real, near 0 for fake")
            with ui.row():
                ui.button("New sample", on_click=self.sample).tooltip("Draws a latent from the prior")
                ui.button("Origin", on_click=lambda: self.go(np.zeros_like(self.z))).props("outline").tooltip(
                    "Sets all latents to 0")
            saving(self.explorer.run, self.to_save, "latents", self.numbers)

    def build_pad(self) -> None:
        """The plane of two latents."""
        with ui.card().classes("w-full sm:w-96"):
            self.pad = ui.interactive_image(events=["pointerdown", "pointermove"]).classes(
                "w-full pixelated cursor-crosshair explorer-pad")
            self.pad.on("mouse", self.point, throttle=THROTTLE)
            keyboard(self.pad, "Pad: the arrow keys move two latents, with Shift in larger steps", list(ARROWS),
                     self.press)
            with ui.row().classes("w-full no-wrap"):
                for i, direction in enumerate(("to the right", "upwards")):
                    ui.select(self.names(), value=self.axes[i], label=direction,
                              on_change=lambda e, i=i: self.choose(i, e.value)).classes("w-1/2").tooltip(
                        f"The latent that grows {direction} on the pad")

    def build_sliders(self) -> None:
        """Label, truncation, and a slider for each latent."""
        known = self.explorer.space
        with ui.card().classes("w-full"):
            if self.explorer.classes:
                names = self.explorer.run.spec.class_names or range(self.explorer.classes)
                self.labels = ui.select(dict(enumerate(map(str, names))), value=self.label, label="label",
                                        on_change=self.relabel).classes("w-32 explorer-label").tooltip(
                    "What the model is asked for")
            slider("truncation", "Below 1, latents nearer to 0: more typical, less various", 0.0, 1.0, self.psi,
                   self.truncate)
            with ui.column().classes("w-full gap-0 overflow-y-auto").style("max-height: 20rem"):
                for i in map(int, known.order[:space.SLIDERS]):
                    self.sliders[i] = slider(self.names()[i], f"Latent {i}", float(known.low[i]), float(known.high[i]),
                                             float(self.z[i]), lambda e, i=i: self.move(i, e.args))

    def build_traversals(self) -> None:
        """What each of the first latents does from here."""
        with ui.card().classes("w-full"):
            ui.button("Traverse the first latents from here", on_click=self.traverse).props("outline").tooltip(
                "A row for each of the first latents: it alone goes from one end of its slider to the other")
            self.traversals = ui.image().classes("w-full pixelated explorer-traversals").style(
                "max-width: 40rem").props('alt="A row of images for each latent"')
            self.traversals.set_visibility(False)

    def names(self) -> dict[int, str]:
        """The latents with a slider, in order; those that carry nothing are marked."""
        active = self.explorer.space.active
        return {int(i): f"z{i}" + ("" if active[i] else " (inactive)")
                for i in self.explorer.space.order[:space.SLIDERS]}

    async def begin(self) -> None:
        """The first drawing, of the sample of the seed where the address names no latent."""
        z = await computed(space.draw, self.explorer, self.seed) if self.sampled else self.z
        await self.go(z, self.sampled)

    async def draw(self) -> None:
        """Draws the newest state; the way and the pad when nothing moves."""
        self.show(await computed(space.view, self.explorer, self.shown, self.label))
        if self.way_is_old and not self.latest.asked:
            self.way_is_old = False
            await self.pins.draw(self.psi, self.label)
            self.mark_picture()
        if self.pad_is_old and not self.latest.asked and len(self.z) > 1:
            self.pad_is_old = False
            picture = await computed(space.pad, self.explorer, self.shown, tuple(self.axes), self.label)
            self.pad_size = picture.shape[:2]
            self.pad.set_source(data_url(picture))
            self.mark_pad()

    def show(self, view: View) -> None:
        """Puts a view on the page."""
        self.seen = view
        self.picture.set_source(data_url(view.picture))
        self.mark_picture()
        if view.logit is not None:
            self.score.set_text(f"Discriminator: logit {view.logit:+.2f}, D = {expit(view.logit):.3f}")
        if self.pad_size and not self.pad_is_old:
            self.mark_pad()

    def mark_picture(self) -> None:
        """The point on the stage, and those of the way."""
        if self.seen.mark:
            shape = self.seen.picture.shape
            self.picture.set_content(ring(shape, self.seen.mark) + self.pins.on_stage(shape))

    def mark_pad(self) -> None:
        """A ring at the shown latent; the way between what is pinned."""
        marks = ""
        if self.pins.both:
            z = space.way(self.pins.pinned["A"], self.pins.pinned["B"], self.pins.path)
            marks = line(self.pad_size, [self.on_pad(space.truncated(point, self.psi)) for point in z])
        for name, z in self.pins.pinned.items():
            if z is not None:
                marks += letter(self.pad_size, self.on_pad(space.truncated(z, self.psi)), name)
        self.pad.set_content(ring(self.pad_size, self.on_pad(self.shown)) + marks)

    def on_pad(self, z: Latent) -> Mark:
        """Where a latent is on the pad."""
        known = self.explorer.space
        right, up = (float((z[i] - known.low[i]) / (known.high[i] - known.low[i])) for i in self.axes)
        return right, 1 - up

    def to_save(self) -> UInt8[np.ndarray, "h w c"]:
        """The picture that is shown; the point of a stage is drawn on it."""
        return self.seen.picture if self.seen.mark is None else space.marked(self.seen)

    def numbers(self) -> dict:
        """What is saved of the latent: as it is decoded."""
        label = {"label": self.label} if self.explorer.classes else {}
        return {"latents": self.shown, "truncation": float(self.psi), **label}

    async def changed(self, pad: bool = True, way: bool = False) -> None:
        """Asks for a drawing; `pad`: what is on the pad changes too; `way`: and the way between the pins."""
        self.pad_is_old |= pad
        self.way_is_old |= way
        await self.latest.ask()

    async def other_way(self) -> None:
        """What is pinned, or the kind of way, has changed."""
        await self.changed(pad=False, way=True)

    def set(self, i: int, value: float) -> None:
        """One latent, before truncation."""
        self.z, self.sampled = np.where(np.arange(len(self.z)) == i, np.float32(value), self.z), False

    async def move(self, i: int, value: float) -> None:
        """One latent, by its slider."""
        self.set(i, value)
        await self.changed(pad=i not in self.axes)

    async def go(self, z: Latent, sampled: bool = False) -> None:
        """All latents at once; `sampled`: they are the sample of the seed."""
        self.z, self.sampled = z, sampled
        for i, moved in self.sliders.items():
            moved.value = float(z[i])
        await self.changed()

    async def walk(self, z: Latent) -> None:
        """To a latent of the way; what is on the pad changes where there are more latents than its two."""
        others = np.delete(z - self.z, self.axes)
        self.z, self.sampled = z, False
        for i, moved in self.sliders.items():
            moved.value = float(z[i])
        await self.changed(pad=bool(np.any(others)))

    async def point(self, e: events.GenericEventArguments) -> None:
        """The two latents of the pad, by a pointer that is pressed."""
        if e.args["buttons"] == 1 and self.pad_size:
            height, width = self.pad_size
            await self.put((e.args["image_x"] / width, e.args["image_y"] / height))

    async def press(self, e: events.GenericEventArguments) -> None:
        """The two latents of the pad, by an arrow key."""
        step = LEAP if e.args["shift"] else STEP
        (x, y), (right, up) = self.on_pad(self.shown), ARROWS[e.args["key"]]
        await self.put((x + step * right, y - step * up))

    async def put(self, mark: Mark) -> None:
        """The two latents of the pad, by a place on it."""
        known, shares = self.explorer.space, np.clip((mark[0], 1 - mark[1]), 0, 1)
        for i, share in zip(self.axes, shares, strict=True):
            self.set(i, (known.low[i] + share * (known.high[i] - known.low[i])) / max(self.psi, 1e-3))
            self.sliders[i].value = float(self.z[i])
        await self.changed(pad=False)

    async def choose(self, i: int, axis: int) -> None:
        """Another latent for an axis of the pad."""
        self.axes[i] = axis
        await self.changed()

    async def relabel(self, e: events.ValueChangeEventArguments) -> None:
        """Another label."""
        self.label = e.value
        await self.changed(way=True)

    async def truncate(self, e: events.GenericEventArguments) -> None:
        """Another truncation."""
        self.psi = e.args
        await self.changed(way=True)

    def next_seed(self) -> int:
        """The seed after this one."""
        self.seed = (self.seed + 1) % address.SEEDS
        return self.seed

    async def sample(self) -> None:
        """Another sample of the prior."""
        await self.go(await computed(space.draw, self.explorer, self.next_seed()), sampled=True)

    async def traverse(self) -> None:
        """Draws the traversals."""
        picture = await computed(space.traversals, self.explorer, self.shown, self.label)
        show(self.traversals, picture)

    async def encode(self, image: UInt8[np.ndarray, "h w c"], label: int | None) -> None:
        """Goes to the latent of an image with this label, or with the chosen one."""
        if self.explorer.classes and label is not None:
            self.labels.value = label
        await self.go(await computed(space.encode, self.explorer, image, self.label if label is None else label))
