"""What a trained game understands of images: codes, and the images made from them again."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from saddlepoint.data.images import resolution_of
from saddlepoint.data.records import to_device
from saddlepoint.data.sources import of_sequences, open_data
from saddlepoint.draws import Draws, use
from saddlepoint.errors import UsageError
from saddlepoint.evaluation.grid import image_grid, to_uint8
from saddlepoint.games.autoencoding import Encodes, Reconstructs
from saddlepoint.training.storage import write_bytes
from saddlepoint.verbs.choosing import holds_points
from saddlepoint.verbs.using import load

CHUNK = 64
SHEET = 64  # images of each kind in a picture
HAVE_CODES = "autoencoder, vae, aae, vae-gan, bigan, brute-force, glo, pixelcnn-autoencoder"


def encode(run: str | Path, data: str, *, out: str | Path | None = None, num: int | None = None, checkpoint: str = "last") -> Tensor:
    """Codes of images.

    Args:
        run: the run folder.
        data: images by name or path; brought to the size that the run was trained at.
        out: .npz file to write, with the codes and the labels where there are any; None writes nothing.
        num: the first so many images; None: all.
        checkpoint: "last", "best" or a round.
    Returns:
        float32 [n, d].
    Raises:
        UsageError: if the run has no encoder, or for an ``out`` with another ending.
    """
    _check(out, ".npz")
    words = f"has no encoder. Train a recipe that has one: {HAVE_CODES}, context-encoder."
    game, images, labels = _open(run, data, num, checkpoint, Encodes, words)
    codes = _in_pieces(game.encode, images)
    if out is not None:
        content = io.BytesIO()
        arrays: dict[str, Any] = {"codes": codes.numpy()} | ({} if labels is None else {"labels": labels.numpy()})
        np.savez_compressed(content, **arrays)
        _write(Path(out), content.getvalue())
    return codes


def reconstruct(run: str | Path, data: str, *, out: str | Path | None = None, num: int | None = None, checkpoint: str = "last") -> Tensor:
    """Images made again from what the run understands of them.

    Args:
        run: the run folder.
        data: images by name or path; brought to the size that the run was trained at.
        out: .png file (each image beside its reconstruction, 64 of them at most) or .npz file to write; None writes nothing.
        num: the first so many images; None: all.
        checkpoint: "last", "best" or a round.
    Returns:
        uint8 [n, c, h, w].
    Raises:
        UsageError: if the run cannot, or for an ``out`` with another ending.
    """
    _check(out, ".png or .npz")
    words = f"cannot make an image again. Train a recipe that can: {HAVE_CODES}."
    game, images, _ = _open(run, data, num, checkpoint, Reconstructs, words)
    again = torch.from_numpy(to_uint8(_in_pieces(game.reconstruct, images)))
    if out is not None:
        content = io.BytesIO()
        if Path(out).suffix == ".png":
            originals = torch.from_numpy(to_uint8(images[:SHEET]))
            image_grid(torch.stack([originals, again[:SHEET]], 1).flatten(0, 1), columns=16).save(content, format="png")
        else:
            np.savez_compressed(content, images=again.numpy())
        _write(Path(out), content.getvalue())
    return again


def _open(run: str | Path, data: str, num: int | None, checkpoint: str, able: type, words: str) -> tuple[Any, Tensor, Tensor | None]:
    """The game, and images float [n, c, h, w] in [-1, 1] with their labels; ``words`` are said of a game that is not ``able``."""
    if num is not None and num < 1:
        raise UsageError(f"At least 1 image is needed; num is {num}.")
    game, opened = load(run, checkpoint=checkpoint)
    if not isinstance(game, able):
        raise UsageError(f"A run of {opened.about['recipe']} {words}")
    shape = opened.about["data"]["shape"]
    none = f"{data} holds no images; a run of {opened.about['recipe']} looks at images of {shape[-1]}x{shape[-2]} pixels. Name some."
    if holds_points(data) or of_sequences(data):
        raise UsageError(none)
    dataset = open_data(data, resolution=resolution_of(shape), channels=shape[0] if shape[0] in (1, 3) else None)
    if dataset.spec.kind != "image":
        raise UsageError(none)
    rows = torch.arange(len(dataset))[:num]
    records = dataset.records(rows)
    return game, to_device({"image": records["image"]}, "cpu", next(game.parameters()).dtype).x, records.get("label")


@torch.no_grad()
def _in_pieces(look: Any, images: Tensor) -> Tensor:
    with use(Draws.seeded(0, "look", dtype=images.dtype)):  # what is drawn given a code is the same every time
        return torch.cat([look(part).float() for part in torch.split(images, CHUNK)])


def _check(out: str | Path | None, endings: str) -> None:
    """Refuse a file that could not be written, before anything is computed for it."""
    if out is not None and Path(out).suffix not in endings.split(" or "):
        raise UsageError(f"This is written as {endings}; {out} is not. Choose another --out.")


def _write(out: Path, content: bytes) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(out, content)
