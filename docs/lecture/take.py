"""Takes the tour's figures from the folder that `scripts/lecture.py` wrote: python docs/lecture/take.py runs/lecture"""

import sys
from pathlib import Path

from PIL import Image

COLOURS, WIDTH = 64, 1_680
"""Of the lecture's figures, the width at most."""


def take_figures(folder: Path) -> None:
    """Copies the pictures of the lessons, in few colours."""
    for path in sorted(folder.glob("*.png")):
        image = Image.open(path).convert("RGB")
        image.thumbnail((WIDTH, WIDTH))
        image.quantize(COLOURS).save(Path(__file__).parent / path.name, optimize=True)


if __name__ == "__main__":
    take_figures(Path(sys.argv[1]))
