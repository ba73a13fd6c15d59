"""Takes the site's figures from the folder that `scripts/lecture.py` wrote:

    python docs/extensions/take_figures.py runs/lecture
"""

import shutil
import sys
from pathlib import Path

from PIL import Image

PLACE = Path(__file__).resolve().parents[1] / "lecture"


def take_figures(folder: Path) -> None:
    """Copies the lessons' pictures, as WebP without any loss, half as large as PNG, and their numbers."""
    for path in sorted(folder.glob("*.png")):
        Image.open(path).save(PLACE / f"{path.stem}.webp", lossless=True, quality=40, method=3)
    for path in sorted(folder.glob("*.json")):
        shutil.copy(path, PLACE)


if __name__ == "__main__":
    take_figures(Path(sys.argv[1]))
