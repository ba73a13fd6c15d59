"""Small parts of the explorer's pages: images in URLs, marks on images, sliders, help, drawing in turn."""

import asyncio
import base64
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
from jaxtyping import UInt8
from nicegui import run, ui

from gen.explore import saved
from gen.explore.address import Query
from gen.figures.overview import FAMILIES
from gen.runs import Run

THROTTLE = 0.05
"""Seconds between two events of one widget."""

STYLE = """
.pixelated img { image-rendering: pixelated; border-radius: 4px; }
.touchable img { touch-action: none; }
.touchable:focus-visible { outline: 3px solid #d9480f; outline-offset: 2px; border-radius: 4px; }
.q-uploader__list { min-height: 0; padding: 0; }
.explorer-layout { display: grid; width: 100%; gap: 1rem; grid-template-columns: minmax(0, 1fr); align-items: start; }
.explorer-picture { width: 15rem; margin: auto; }
:is(.explorer-picture, .explorer-pad):has(svg[viewBox="0 0 0 0"]) { aspect-ratio: 1; background: #8883; }
@media (min-width: 640px) {
  .explorer-layout { grid-template: auto 1fr / 20rem minmax(0, 1fr); }
  .explorer-layout.wide { grid-template-columns: 24rem minmax(0, 1fr); }
  .explorer-main { grid-area: 1 / 2 / span 2; }
  .explorer-picture { width: 100%; }
}
"""
"""On a phone the picture is small, and what moves it stands below it; what an image is encoded with comes last.

The picture and the pad have their places before the first program is compiled: an image that is not there yet has an
empty view box."""

BUTTONS = "#1976d2"
"""Of what can be clicked: 4.6 to white words on it, 4.1 to the dark page around it."""

RING = ('<circle cx="{x}" cy="{y}" r="{r}" fill="none" stroke="#fff" stroke-width="{wide}"/>'
        '<circle cx="{x}" cy="{y}" r="{r}" fill="none" stroke="#d9480f" stroke-width="{thin}"/>')
LETTER = ('<text x="{x}" y="{y}" font-size="{size}" font-family="sans-serif" font-weight="bold" text-anchor="middle" '
          'dominant-baseline="central" paint-order="stroke" stroke="{around}" stroke-width="{edge}" '
          'fill="{colour}">{text}</text>')
LINE = '<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="{width}" stroke-linejoin="round"/>'

KEYS = """(e) => {{
  if (!{keys}.includes(e.key)) return;
  e.preventDefault();
  emit({{key: e.key, shift: e.shiftKey}});
}}"""
"""Tells the server of some keys, which then do not scroll the page."""

ARROWS = {"ArrowLeft": (-1, 0), "ArrowRight": (1, 0), "ArrowDown": (0, -1), "ArrowUp": (0, 1)}
"""Key to steps to the right and upwards."""

Mark = tuple[float, float]
"""Shares of the width and height of a picture, from the top left."""


class Latest:
    """Does one thing at a time; asked meanwhile, does it once more afterwards, with what is newest then.

    Attributes:
      asked: whether it has to be done once more.
    """

    def __init__(self, work: Callable[[], Awaitable[None]]):
        self.work, self.asked, self.busy = work, False, False

    async def ask(self) -> None:
        """Does it, unless it is being done and is then done again."""
        self.asked = True
        if self.busy:
            return
        self.busy = True
        try:
            while self.asked:
                self.asked = False
                await self.work()
        finally:
            self.busy = False


class Address:
    """Keeps the page's address that of what is shown.

    Attributes:
      place: () -> the query of what is shown.
    """

    SECONDS = 0.5

    def __init__(self, place: Callable[[], str]):
        self.place, self.written = place, None
        ui.timer(self.SECONDS, self.write)

    def write(self) -> None:
        """Writes the address where it is another one now."""
        query = self.place()
        if query != self.written:
            self.written = query
            ui.navigate.history.replace(f"?{query}")


async def computed(function: Callable[..., Any], *args: Any) -> Any:
    """What a function computes in a thread of its own. When the server stops there is nothing to go on with."""
    result = await run.io_bound(function, *args)
    if result is None:
        raise asyncio.CancelledError
    return result


def begin(place: Callable[[], str], drawing: Callable[[], Awaitable[None]], query: Query) -> None:
    """Ends the building of a page: keeps its address, has it drawn, says what `query` asked for in vain."""
    Address(place)
    ui.timer(0, drawing, once=True)
    if complaint := query.complaint():
        complain(str(complaint))


def opened() -> Query:
    """The parts of the address by which the page was opened."""
    return Query(ui.context.client.request.query_params)


def header(shown: Run, words: dict[str, str]) -> None:
    """The run's name and a button for help: a dialog of headings with a sentence or two each."""
    ui.add_css(STYLE)
    ui.colors(primary=BUTTONS)
    with ui.dialog() as dialog, ui.card().classes("explorer-help"):
        for heading, sentences in words.items():
            ui.label(heading).classes("font-bold")
            ui.label(sentences).classes("text-sm")
        ui.button("Close", on_click=dialog.close).props("outline")
    with ui.row().classes("w-full items-center justify-between no-wrap"):
        name = "/".join(shown.workdir.parts[-2:])
        ui.label(f"{name}: {FAMILIES.get(shown.config.family, shown.config.family)} of {shown.config.data.name}, "
                 f"step {shown.step:,}").classes(
            "text-lg").style("min-width: 0; overflow-wrap: anywhere").tooltip(str(shown.workdir))
        ui.button("Help", icon="help_outline", on_click=dialog.open).props("flat no-wrap").classes("shrink-0").tooltip(
            "What everything here does")


def complain(message: str) -> None:
    """Shows what is wrong."""
    ui.notify(message, type="negative", close_button=True, timeout=0, multi_line=True)


def slider(name: str, about: str, low: float, high: float, value: float, moved: Callable) -> ui.slider:
    """A labelled slider; `moved` hears of the visitor's movements alone."""
    with ui.row().classes("w-full items-center no-wrap"):
        ui.label(name).classes("w-24 shrink-0 text-sm text-right")
        made = ui.slider(min=low, max=high, step=0.01, value=value).classes("grow").props(f'aria-label="{name}"')
        made.tooltip(about)
        ui.label().bind_text_from(made, "value", lambda v: f"{v:.2f}").classes("w-12 text-sm")
    return made.on("update:model-value", moved, throttle=THROTTLE)


def keyboard(image: ui.interactive_image, name: str, keys: list[str], pressed: Callable) -> None:
    """Lets Tab reach an image that is moved on by pointer, and tells `pressed` of these keys."""
    image.props(f'tabindex=0 role=application aria-label="{name}"').classes("touchable")
    image.on("keydown", pressed, js_handler=KEYS.format(keys=keys))


def data_url(image: UInt8[np.ndarray, "h w c"]) -> str:
    """A PNG in a URL: unlike a file that the next one replaces, it is there however late the browser loads it."""
    return "data:image/png;base64," + base64.b64encode(saved.png(image)).decode()


def ring(shape: tuple[int, ...], mark: Mark) -> str:
    """An SVG circle at a mark of a picture of this shape, or on its border."""
    x, y, width = _place(shape, mark)
    return RING.format(x=x, y=y, r=0.035 * width, wide=0.016 * width, thin=0.008 * width)


def show(image: ui.image, picture: UInt8[np.ndarray, "h w c"]) -> None:
    """Puts a picture on the page that was not there at first."""
    height, width = picture.shape[:2]
    image.props(f"ratio={width / height:.4f}").set_source(data_url(picture))
    image.set_visibility(True)


def letter(shape: tuple[int, ...], mark: Mark, text: str) -> str:
    """An SVG letter at a mark, as `ring`."""
    x, y, width = _place(shape, mark)
    return written(x, y, text, 0.06 * width, "#d9480f", "#fff")


def line(shape: tuple[int, ...], marks: list[Mark]) -> str:
    """An SVG line through marks, as `ring`, orange on white."""
    points = " ".join("{:.2f},{:.2f}".format(*_place(shape, mark)[:2]) for mark in marks)
    return "".join(LINE.format(points=points, colour=colour, width=share * shape[1])
                   for colour, share in (("#fff", 0.012), ("#d9480f", 0.006)))


def dots(shape: tuple[int, ...], marks: list[Mark]) -> str:
    """SVG dots at marks, as `ring`."""
    return "".join('<circle cx="{:.2f}" cy="{:.2f}" r="{:.2f}" fill="#d9480f" stroke="#fff" stroke-width="1"/>'.format(
        *_place(shape, mark)[:2], 0.01 * shape[1]) for mark in marks)


def written(x: float, y: float, text: str, size: float, colour: str, around: str) -> str:
    """SVG text of a colour in the middle of (x, y), with an edge of another colour."""
    return LETTER.format(x=f"{x:.2f}", y=f"{y:.2f}", size=f"{size:.2f}", edge=f"{size / 5:.2f}", text=text,
                         colour=colour, around=around)


def _place(shape: tuple[int, ...], mark: Mark) -> tuple[float, float, float]:
    """Pixels from the left and from the top, and the width."""
    (height, width), (x, y) = shape[:2], np.clip(mark, 0, 1)
    return float(x * width), float(y * height), float(width)
