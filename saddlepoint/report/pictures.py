"""Samples of a run as parts of its page: grids, scatters, shaded volumes or text over time, real ones beside them, nearest real images.

Axes: n samples, c channels, h w image, d dimension.
"""

from __future__ import annotations

import base64
import io
from html import escape
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from saddlepoint.evaluation.grid import image_grid, plane_limits, scatter_picture
from saddlepoint.report.charts import number
from saddlepoint.report.reading import Arrays, RunRecord, read_arrays, read_picture
from saddlepoint.report.volumes import picture as shaded

MAX_FRAMES = 40  # previews in the page; more are thinned out evenly, the newest is always there
MAX_NEIGHBOURS = 24  # samples shown with their nearest real images
SCATTER = 560  # pixels of a scatter picture
PNG_BYTES = 300_000  # a larger picture is embedded as WebP

MAX_VOLUMES = 8  # previews of volumes, the newest: each is rendered for the page

Frames = tuple[list[tuple[int, str]], str, str]  # (round, HTML) of the previews, HTML of the real ones or nothing, a note on those


def samples_section(run: RunRecord) -> str:
    """Samples over time under a slider, all of them below where there is no JavaScript; the real ones beside."""
    if not run.frames:
        return "<p>The run has no sample grids: none were drawn, or they were removed.</p>"
    chosen = thin(run.frames)
    suffix = chosen[-1][1].suffix
    frames, real, note = (_texts if suffix == ".txt" else _arrays if suffix == ".npz" else _images)(run, chosen)
    if not frames:
        return f"<p>None of the {len(run.frames)} sample files of the run can be read.</p>"
    unread = len(chosen) - len(frames)
    shown = f"{len(frames)} of {len(run.frames)} previews, the same latents in each." + (f" {unread} could not be read." if unread else "")
    figures = "".join(f'<figure class="frame">{content}<figcaption>round {r:,}</figcaption></figure>' for r, content in frames)
    last = len(frames) - 1
    slider = f'<div class="slider" hidden><input type="range" min="0" max="{last}" value="{last}" aria-label="round"><output></output></div>'
    beside = f'<div><h3>Real</h3><figure class="frame">{real}<figcaption>{note}</figcaption></figure></div>' if real else ""
    missing = "" if real else "<p>The run has nothing real to put beside.</p>"
    return f'<div class="beside"><div class="frames"><h3>Generated</h3>{slider}{figures}<p class="note">{shown}</p></div>{beside}</div>{missing}'


def thin(frames: list[tuple[int, Path]]) -> list[tuple[int, Path]]:
    """At most ``MAX_FRAMES`` of the previews, evenly spread, first and last among them."""
    if len(frames) <= MAX_FRAMES:
        return frames
    return [frames[i] for i in np.linspace(0, len(frames) - 1, MAX_FRAMES).round().astype(int).tolist()]


def _images(run: RunRecord, chosen: list[tuple[int, Path]]) -> Frames:
    found = [(r, picture) for r, path in chosen if (picture := read_picture(path)) is not None]
    return _tagged(found, read_picture(run.folder / "samples" / "real.png"), "from the training data")


def _texts(run: RunRecord, chosen: list[tuple[int, Path]]) -> Frames:
    """The lines of each preview."""
    files, beside = [path for _, path in chosen], run.folder / "samples" / "real.txt"
    texts = [f"<pre>{escape(path.read_text(encoding='utf-8', errors='replace'))}</pre>" for path in [*files, *([beside] if beside.exists() else [])]]
    return [(r, text) for (r, _), text in zip(chosen, texts, strict=False)], "".join(texts[len(files) :]), "from the training data"


def _arrays(run: RunRecord, chosen: list[tuple[int, Path]]) -> Frames:
    """Volumes, shaded; or scatters of points over the real ones, all on the axes of the real points."""
    found = [(r, arrays) for r, path in chosen if (arrays := read_arrays(path)) is not None]
    arrays = read_arrays(run.folder / "samples" / "real.npz")
    if found and "volumes" in found[-1][1]:
        seen = [(r, shaded(torch.from_numpy(each["volumes"]))) for r, each in found[-MAX_VOLUMES:]]
        beside = None if arrays is None else shaded(torch.from_numpy(arrays["volumes"]))
        return _tagged(seen, beside, "from the training data")
    real = _points(arrays)
    clouds = [(r, points) for r, each in found if (points := _points(each)) is not None]
    if not clouds:
        return [], "", ""
    back = clouds[-1][1] if real is None else real
    limits = plane_limits(back)
    frames = [(r, scatter_picture(points, real, limits=limits, size=SCATTER)) for r, points in clouds]
    d = back.shape[1]
    note = f"grey in both pictures; from {number(limits[0])} to {number(limits[1])} across" + (f"; the first 2 of {d} coordinates" if d > 2 else "")
    return _tagged(frames, None if real is None else scatter_picture(None, real, limits=limits, size=SCATTER), note)


def _tagged(found: list[tuple[int, Image.Image]], real: Image.Image | None, note: str) -> Frames:
    frames = [(r, image_tag(picture, f"samples at round {r}")) for r, picture in found]
    return frames, "" if real is None else image_tag(real, "real samples"), note


def _points(arrays: Arrays | None) -> NDArray[np.generic] | None:
    """Finite points [n, d] of a preview; None where there are none."""
    if arrays is None or "points" not in arrays or arrays["points"].ndim != 2:
        return None
    points = np.asarray(arrays["points"], dtype=np.float64)
    points = points[np.isfinite(points).all(1)]
    return points if len(points) else None


def neighbours_section(run: RunRecord) -> str:
    """Each sample with the real image nearest to it in features and in pixels, the closest first; empty for what are not images."""
    path = run.folder / "samples" / "nearest.npz"
    if run.frames and run.frames[-1][1].suffix != ".png":
        return ""
    found = read_arrays(path)
    needed = ("samples", "nearest_feature", "nearest_pixel", "distance_feature", "distance_pixel")
    if found is None or any(name not in found for name in needed):
        why = "cannot be read" if path.exists() else "was not made"
        return f"<p>The search for the nearest real images {why} (samples/nearest.npz).</p>"
    order = np.argsort(found["distance_feature"].astype(float))[:MAX_NEIGHBOURS].tolist()
    cells = "".join(_neighbour(found, i) for i in order)
    searched = f" among {int(found['searched']):,} real images" if "searched" in found else ""
    return (
        f"<p>Each generated image (left), the real one nearest to it in quick features (middle) and in pixels (right){searched}. The {len(order)} of "
        f"{len(found['samples'])} samples that come closest to a real image are shown, closest first. {_usual(found)}</p>"
        f'<div class="neighbours">{cells}</div>'
    )


def _neighbour(found: Arrays, i: int) -> str:
    trio = np.stack([found[name][i] for name in ("samples", "nearest_feature", "nearest_pixel")])
    picture = image_tag(image_grid(trio, columns=3), "a sample and its nearest real images")
    feature, pixel = float(found["distance_feature"][i]), float(found["distance_pixel"][i])
    return f"<figure>{picture}<figcaption>features {number(round(feature, 3))} · pixels {number(round(pixel, 1))}</figcaption></figure>"


def _usual(found: Arrays) -> str:
    """How far real images lie from one another, so that the distances can be judged."""
    if "usual_feature" not in found or "usual_pixel" not in found or not len(found["usual_feature"]):
        return ""
    pairs = [
        (float(np.median(found[f"distance_{space}"].astype(float))), float(np.median(found[f"usual_{space}"].astype(float))))
        for space in ("feature", "pixel")
    ]
    (feature, usual_feature), (pixel, usual_pixel) = pairs
    return (
        f"Feature distances are Euclidean: in the middle {number(round(feature, 2))} for the samples and {number(round(usual_feature, 2))} from one "
        "real image to the nearest other. Pixel distances are root mean square differences in levels of 0 to 255: "
        f"{number(round(pixel, 1))} and {number(round(usual_pixel, 1))}. Samples much closer to the data than real ones to each other are copies."
    )


def image_tag(picture: Image.Image, alt: str) -> str:
    """An <img> that carries its picture."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    kind = "png"
    if buffer.tell() > PNG_BYTES:
        buffer, kind = io.BytesIO(), "webp"
        picture.convert("RGBA" if picture.mode == "RGBA" else "RGB").save(buffer, "WEBP", quality=88)
    data = base64.b64encode(buffer.getvalue()).decode()
    smooth = ' class="smooth"' if picture.mode == "RGBA" else ""
    return f'<img{smooth} alt="{escape(alt, quote=True)}" width="{picture.width}" height="{picture.height}" src="data:image/{kind};base64,{data}">'
