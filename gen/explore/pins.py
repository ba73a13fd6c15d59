"""A card with two pinned latents and the way between them, as a row of images or as points on the stage."""

from collections.abc import Awaitable, Callable

from nicegui import events, ui

from gen.explore import space
from gen.explore.address import Place
from gen.explore.space import Explorer, Latent
from gen.explore.widgets import Mark, computed, dots, letter, show, slider


class Pins:
    """Two latents, before truncation, and the way from one to the other.

    Attributes:
      explorer: the model.
      pinned: by "A" and "B", the latents; None where nothing is pinned.
      path: key of `space.PATHS`.
      marks: of points, where those of the way are on the stage.
      here: () -> the latent where the visitor is.
      go: moves the visitor to a latent.
      changed: hears that another way is to be drawn.
    """

    def __init__(self, explorer: Explorer, place: Place, here: Callable[[], Latent],
                 go: Callable[[Latent], Awaitable[None]], changed: Callable[[], Awaitable[None]]):
        self.explorer, self.here, self.go, self.changed = explorer, here, go, changed
        self.pinned, self.path = {"A": place.a, "B": place.b}, place.path
        self.marks: list[Mark] = []
        with ui.card().classes("w-full"):
            self.build()

    @property
    def both(self) -> bool:
        """Whether there is a way."""
        return self.pinned["A"] is not None and self.pinned["B"] is not None

    def build(self) -> None:
        """Makes the widgets."""
        with ui.row().classes("items-center"):
            for name in self.pinned:
                ui.button(f"Pin {name}", on_click=lambda name=name: self.pin(name)).props("outline").tooltip(
                    f"Keeps what is shown as {name}, an end of the way")
            ui.toggle(list(space.PATHS), value=self.path, on_change=self.choose).props(
                'no-caps aria-label="Kind of way"').tooltip(
                "Spherical: along a great circle, where samples of N(0, I) lie. Linear: straight")
        self.said = ui.label("Pin two places to see what lies between them.").classes("text-sm")
        with ui.column().classes("w-full gap-1").style("max-width: 40rem") as self.way:
            self.row = ui.image().classes("w-full pixelated explorer-way").props('alt="Images on the way from A to B"')
            self.row.set_visibility(False)
            self.share = slider("from A to B", "Moves along the way", 0.0, 1.0, 0.0, self.move)
        self.show()

    def show(self) -> None:
        """Shows what there is: the way, or what to do to have one."""
        self.way.set_visibility(self.both)
        self.said.set_visibility(not self.both)
        missing = [name for name, z in self.pinned.items() if z is None]
        if len(missing) == 1:
            self.said.set_text(f"Now move, and pin {missing[0]}.")

    async def pin(self, name: str) -> None:
        """Keeps the latent where the visitor is."""
        self.pinned[name] = self.here()
        self.share.value = float(name == "B")
        self.show()
        await self.changed()

    async def choose(self, e: events.ValueChangeEventArguments) -> None:
        """Another kind of way."""
        self.path = e.value
        await self.changed()

    async def move(self, e: events.GenericEventArguments) -> None:
        """To a share of the way."""
        if self.both:
            await self.go(space.between(self.pinned["A"], self.pinned["B"], e.args, self.path))

    async def draw(self, psi: float, label: int) -> None:
        """Draws the way with this truncation and label."""
        if not self.both:
            return
        z = space.truncated(space.way(self.pinned["A"], self.pinned["B"], self.path), psi)
        if self.explorer.stage:
            self.marks = await computed(space.places, self.explorer, z, label)
        else:
            show(self.row, await computed(space.row, self.explorer, z, label))

    def on_stage(self, shape: tuple[int, ...]) -> str:
        """SVG of the points of the way on the stage, with a letter at each end."""
        if not self.marks:
            return ""
        return dots(shape, self.marks[1:-1]) + letter(shape, self.marks[0], "A") + letter(shape, self.marks[-1], "B")
