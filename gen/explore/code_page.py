"""The explorer's page of discrete codes: the grid of codes, the palette, the picture that the decoder makes of them."""

import numpy as np
from jaxtyping import UInt8
from nicegui import events, ui

from gen.explore import address, codes
from gen.explore.codes import Explorer, Grid
from gen.explore.neighbours import Training
from gen.explore.panels import Encoder, Nearest, saving
from gen.explore.widgets import (
    ARROWS,
    THROTTLE,
    Latest,
    begin,
    computed,
    data_url,
    header,
    keyboard,
    opened,
    written,
)

NUMBERED = 16
"""Codes along a side up to which each has its number on it."""

NEXT = {"PageUp": 1, "PageDown": -1}
"""Key to steps from a code to another."""

LEAP = 4
"""Cells that an arrow with Shift moves by."""

FRAME = ('<rect x="{x}" y="{y}" width="{w}" height="{h}" fill="none" stroke="#fff" stroke-width="{wide}"/>'
         '<rect x="{x}" y="{y}" width="{w}" height="{h}" fill="none" stroke="#d9480f" stroke-width="{thin}"/>')

HELP = {
    "Picture": "What the decoder makes of the grid of codes. Save it, or the codes, with the buttons below it.",
    "Grid of codes": "Each code as it looks amid copies of itself. Choose a cell with mouse or finger, or reach the "
                     "grid with Tab and use the arrow keys, with Shift in larger steps. Page Up and Page Down give the "
                     "cell another code.",
    "Palette": "All codes, from dark to light. One that you choose goes into the chosen cell, and the picture changes.",
    "Paint": "While it is on, every cell that you press or move over gets the chosen code.",
    "Encode": "Shows the codes of a picture.",
    "Nearest training images": "Shows how new the picture is. The number is the root mean square difference of pixels: "
                               "0 is the same picture, 1 is black against white.",
    "Address": "The page's address says which codes are shown. Copy it, and open it again with the same model.",
}
"""Heading to its sentences."""


class Page:
    """One visitor's grid of codes, and the widgets that show and change it.

    Attributes:
      grid: the codes, those of the sample of `seed` where it is `sampled`.
      cell: the chosen cell, row and column.
      code: the chosen code.
    """

    def __init__(self, explorer: Explorer, training: Training):
        self.explorer, self.training = explorer, training
        self.query = opened()
        self.seed, grid = address.read_codes(self.query, explorer.side, explorer.codes)
        self.grid, self.sampled = np.zeros(explorer.side, np.int32) if grid is None else grid, grid is None
        self.cell = (explorer.side[0] // 2, explorer.side[1] // 2)
        self.code = int(self.grid[self.cell])
        self.latest = Latest(self.draw)
        self.seen, self.palette_shape = None, codes.palette(explorer).shape

    def place(self) -> str:
        """The address's query of what is shown."""
        return address.write_codes(address.CodePlace(self.seed, None if self.sampled else self.grid))

    def build(self) -> None:
        """Makes the widgets and has them drawn for the first time."""
        header(self.explorer.run, HELP)
        with ui.element().classes("explorer-layout"):
            self.build_picture()
            with ui.column().classes("explorer-main gap-4"):
                with ui.row().classes("w-full items-start gap-4"):
                    self.build_grid()
                    self.build_palette()
                Nearest(self.training, lambda: self.seen)
            Encoder(self.explorer.run, self.explorer.dataset, self.encode, self.next_seed)
        begin(self.place, self.begin, self.query)

    def build_picture(self) -> None:
        """What the codes decode to, and where other codes come from."""
        with ui.card().classes("w-full"):
            self.picture = ui.interactive_image().classes("pixelated explorer-picture").props(
                'role=img aria-label="What the decoder makes of the codes"')
            ui.button("New sample" if self.explorer.draws else "Random codes", on_click=self.sample).tooltip(
                "Draws all codes from the prior" if self.explorer.draws else
                "Draws codes that are equally likely: this model has no prior on codes")
            saving(self.explorer.run, lambda: self.seen, "codes", lambda: {"codes": self.grid})

    def build_grid(self) -> None:
        """The codes in their places."""
        with ui.card().classes("w-full sm:w-96"):
            ui.label("Grid of codes")
            self.map = ui.interactive_image(events=["pointerdown", "pointermove"]).classes(
                "w-full pixelated cursor-pointer explorer-codes")
            self.map.on("mouse", self.point, throttle=THROTTLE)
            keyboard(self.map, "Grid of codes: the arrow keys choose a cell, Page Up and Page Down change its code",
                     [*ARROWS, *NEXT], self.press)
            self.painting = ui.switch("paint").tooltip(
                "While it is on, the pointer gives each cell that it meets the chosen code")

    def build_palette(self) -> None:
        """The codes there are."""
        with ui.card().classes("w-full sm:w-96"):
            with ui.row().classes("w-full items-center justify-between no-wrap"):
                ui.label("Palette")
                self.number = ui.number("code of the cell", value=self.code, min=0, max=self.explorer.codes - 1, step=1,
                                        precision=0, on_change=self.type).classes("w-32 explorer-code").tooltip(
                    f"A code from 0 to {self.explorer.codes - 1}")
            with ui.column().classes("w-full overflow-y-auto").style("max-height: 24rem"):
                self.palette = ui.interactive_image(data_url(codes.palette(self.explorer)), events=["click"]).classes(
                    "w-full pixelated cursor-pointer explorer-palette")
            self.palette.on("mouse", self.pick)
            keyboard(self.palette, "Palette: the arrow keys choose another code", list(ARROWS), self.step)
            self.palette.classes(remove="touchable")

    async def begin(self) -> None:
        """The first drawing, of the sample of the seed where the address names no codes."""
        grid = await computed(codes.draw, self.explorer, self.seed) if self.sampled else self.grid
        await self.show(grid, self.sampled)

    async def draw(self) -> None:
        """Draws the picture of the newest codes, and the codes."""
        grid = self.grid
        self.seen = await computed(codes.picture, self.explorer, grid)
        self.picture.set_source(data_url(self.seen))
        self.map.set_source(data_url(codes.mosaic(self.explorer, grid)))
        self.mark()

    def mark(self) -> None:
        """The numbers of the codes, where there is room, and frames around the chosen cell and the chosen code."""
        (height, width), (rows, columns) = self.map_size(), self.explorer.side
        h, w = height / rows, width / columns
        numbers = "" if max(rows, columns) > NUMBERED else "".join(
            written((j + 0.5) * w, (i + 0.5) * h, str(code), 0.36 * w, "#fff", "#000")
            for (i, j), code in np.ndenumerate(self.grid))
        self.map.set_content(numbers + frame(self.cell[1] * w, self.cell[0] * h, w, h, width))
        place = int(np.flatnonzero(self.explorer.order == self.code)[0])
        row, column = divmod(place, self.explorer.columns)
        h, w = self.patch_size()
        self.palette.set_content(frame(column * w, row * h, w, h, self.palette_shape[1]))

    def map_size(self) -> tuple[int, int]:
        """Height and width of the picture of the grid, in pixels."""
        rows, columns = self.explorer.side
        return rows * self.explorer.patches.shape[1], columns * self.explorer.patches.shape[2]

    def patch_size(self) -> tuple[float, float]:
        """Height and width of a code in the palette, its gap included, in pixels."""
        rows = -(-self.explorer.codes // self.explorer.columns)
        return self.palette_shape[0] / rows, self.palette_shape[1] / self.explorer.columns

    async def show(self, grid: Grid, sampled: bool = False) -> None:
        """Another grid of codes; `sampled`: it is the sample of the seed."""
        self.grid, self.sampled = grid, sampled
        self.choose(int(grid[self.cell]))
        await self.latest.ask()

    def choose(self, code: int) -> None:
        """Another code is the chosen one."""
        self.code = code
        self.number.value = code

    async def give(self, code: int) -> None:
        """The chosen cell gets a code."""
        await self.show(codes.changed(self.grid, self.cell, code))

    async def point(self, e: events.GenericEventArguments) -> None:
        """Chooses the cell under a pointer that is pressed, or gives it the chosen code."""
        if e.args["buttons"] != 1 or self.seen is None:
            return
        (height, width), (rows, columns) = self.map_size(), self.explorer.side
        cell = (int(np.clip(e.args["image_y"] / height * rows, 0, rows - 1)),
                int(np.clip(e.args["image_x"] / width * columns, 0, columns - 1)))
        await self.enter(cell)

    async def enter(self, cell: tuple[int, int]) -> None:
        """Another cell is the chosen one; while one paints, it gets the chosen code."""
        self.cell = cell
        if self.painting.value:
            await self.give(self.code)
        else:
            self.choose(int(self.grid[cell]))
            self.mark()

    async def press(self, e: events.GenericEventArguments) -> None:
        """Another cell by an arrow key; another code of the cell by Page Up and Page Down."""
        key = e.args["key"]
        if key in NEXT:
            await self.give((int(self.grid[self.cell]) + NEXT[key]) % self.explorer.codes)
            return
        far = LEAP if e.args["shift"] else 1
        (right, up), (rows, columns) = ARROWS[key], self.explorer.side
        await self.enter((int(np.clip(self.cell[0] - far * up, 0, rows - 1)),
                          int(np.clip(self.cell[1] + far * right, 0, columns - 1))))

    async def pick(self, e: events.GenericEventArguments) -> None:
        """The code under the pointer goes into the chosen cell."""
        height, width = self.patch_size()
        row, column = int(e.args["image_y"] // height), int(np.clip(e.args["image_x"] // width, 0,
                                                                    self.explorer.columns - 1))
        place = row * self.explorer.columns + column
        if 0 <= place < self.explorer.codes:
            await self.give(int(self.explorer.order[place]))

    async def step(self, e: events.GenericEventArguments) -> None:
        """Another code of the palette, by an arrow key, goes into the chosen cell."""
        right, up = ARROWS[e.args["key"]]
        place = int(np.flatnonzero(self.explorer.order == self.code)[0]) + right - up * self.explorer.columns
        if 0 <= place < self.explorer.codes:
            await self.give(int(self.explorer.order[place]))

    async def type(self, e: events.ValueChangeEventArguments) -> None:
        """A code by its number, typed by the visitor."""
        if e.value is not None and 0 <= e.value < self.explorer.codes and int(e.value) != self.code:
            await self.give(int(e.value))

    def next_seed(self) -> int:
        """The seed after this one."""
        self.seed = (self.seed + 1) % address.SEEDS
        return self.seed

    async def sample(self) -> None:
        """Other codes, of the prior."""
        await self.show(await computed(codes.draw, self.explorer, self.next_seed()), sampled=True)

    async def encode(self, image: UInt8[np.ndarray, "h w c"], label: int | None) -> None:
        """The codes of an image; these models take no label."""
        await self.show(await computed(codes.encode, self.explorer, image))


def frame(x: float, y: float, w: float, h: float, width: float) -> str:
    """An SVG frame around a part of a picture of this width."""
    return FRAME.format(x=x, y=y, w=w, h=h, wide=0.014 * width, thin=0.007 * width)
