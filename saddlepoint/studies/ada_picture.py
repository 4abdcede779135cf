"""``python -m saddlepoint.studies.ada_picture``: what D sees of a few images behind ADA, each group of augmentations alone and all of them by p."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor

from saddlepoint.data.records import to_device
from saddlepoint.data.sources import open_data
from saddlepoint.draws import Draws, use
from saddlepoint.evaluation.grid import to_uint8
from saddlepoint.studies.pool import answered
from saddlepoint.views.ada import GROUPS, Augment

PROBABILITIES = (0.1, 0.3, 0.5, 0.8, 1.0)


def views(policy: str = "bgc") -> list[tuple[str, str, float]]:
    """Rows of the picture: what is written beside it, policy, p."""
    return [(f"{group}, p = 1", group, 1.0) for group in GROUPS] + [(f"{policy}, p = {p:g}", policy, p) for p in PROBABILITIES]


def seen(x: Tensor, policy: str, p: float, seed: int = 0) -> Tensor:
    """Images [n, c, h, w] behind the view."""
    with use(Draws.seeded("ada picture", seed)):
        augmented: Tensor = Augment(policy, p=p)(x)
    return augmented


def main(arguments: list[str] | None = None) -> int:
    """Read the flags, draw, write."""
    parser = argparse.ArgumentParser(prog="python -m saddlepoint.studies.ada_picture", description="What D sees behind ADA.")
    parser.add_argument("--data", default="emoji")
    parser.add_argument("--resolution", type=int, default=64)
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0, help="of the augmentations")
    parser.add_argument("--out", type=Path, default=Path("docs/pictures/ada.png"))
    given = parser.parse_args(arguments)
    data = open_data(given.data, resolution=given.resolution)
    every = torch.arange(given.images) * (len(data) // given.images)
    x = to_device(data.records(every), "cpu").x
    rows = [("real images", x), *((name, seen(x, policy, p, given.seed)) for name, policy, p in views())]
    draw(rows, given.out)
    return 0


def draw(rows: list[tuple[str, Tensor]], path: Path) -> None:
    """One row of images a view, its name at the left."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    columns = len(rows[0][1])
    layout = ConstrainedLayoutEngine(w_pad=0.01, h_pad=0.01, wspace=0, hspace=0)
    figure = Figure(figsize=(0.62 * columns + 1.1, 0.62 * len(rows)), layout=layout)
    grid = figure.subplots(len(rows), columns, squeeze=False)
    for line, (name, x) in zip(grid, rows, strict=True):
        for axes, image in zip(line, to_uint8(x), strict=True):
            axes.imshow(image.transpose(1, 2, 0), cmap="gray", vmin=0, vmax=255)
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
        line[0].set_ylabel(name, rotation=0, horizontalalignment="right", verticalalignment="center", fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)


if __name__ == "__main__":
    raise SystemExit(answered(main))
