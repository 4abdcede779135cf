"""Draw a contact sheet of any data set, to look at it before training.

    python tools/build_data/sheet.py NAME_OR_PATH OUT.png [RESOLUTION]

200 images, evenly spaced over the records, in 20 columns.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from PIL import Image

from saddlepoint.data.sources import open_data
from saddlepoint.errors import SaddlepointError, UsageError

COUNT, COLUMNS = 200, 20


def main(name: str, out: Path, resolution: int | None) -> None:
    """Write the sheet."""
    dataset = open_data(name, resolution=resolution)
    if dataset.spec.kind != "image":
        raise UsageError(f"A contact sheet is of images; {name} holds {dataset.spec.kind}.")
    images = dataset.records(torch.linspace(0, len(dataset) - 1, min(COUNT, len(dataset))).long())["image"]
    n, c, h, w = images.shape
    sheet = images.new_full((-(-n // COLUMNS) * COLUMNS, c, h, w), 255)
    sheet[:n] = images
    rows = len(sheet) // COLUMNS
    pixels = sheet.view(rows, COLUMNS, c, h, w).permute(0, 3, 1, 4, 2).reshape(rows * h, COLUMNS * w, c)  # r k c h w -> (r h) (k w) c
    Image.fromarray(pixels.squeeze(-1).numpy()).save(out)


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    try:
        main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) == 4 else None)
    except SaddlepointError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)
