"""What looks on while a run is trained: previews, quick scores, the health monitor."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.data.order import order_of
from saddlepoint.data.records import SAMPLE, Batch, Dataset, to_device
from saddlepoint.draws import Draws, use
from saddlepoint.evaluation.grid import image_grid
from saddlepoint.evaluation.health import HealthMonitor
from saddlepoint.evaluation.quick import METRICS, QuickScorer, can_score
from saddlepoint.evaluation.samples import draw_samples, of_each_class
from saddlepoint.games.game import Game, Measures, Samples, Shows, classes_told
from saddlepoint.games.sequences import Writes
from saddlepoint.training.observers import Watchers
from saddlepoint.training.run import Run
from saddlepoint.training.storage import write_bytes

GRID, CLOUD = 64, 2000  # samples in a preview: images, points
SHOWN, MEASURED, CHUNK = 12, 512, 64  # records that a game shows, that it is measured on, and at once


def make_watchers(run: Run, game: Game, data: Dataset, show: Callable[[dict[str, Any]], None] | None) -> Watchers:
    """Previews and scores as far as the game can draw samples, show or measure; the display of the log always."""
    seed, kind = run.about["seed"], data.spec.kind
    previews = isinstance(game, Samples | Shows)
    scored = isinstance(game, Measures) or (isinstance(game, Samples) and kind in METRICS and can_score(data))
    if isinstance(game, Samples) and kind in METRICS and not can_score(data) and show is not None:
        few = f"{data.spec.name} has {len(data)} records, too few for a quick score: what is drawn is shown and not judged."
        show({"round": 0, "kind": "note", "message": few})
    monitor = HealthMonitor(judge_separation=game.saturates) if isinstance(game, Samples) else None
    return Watchers(
        preview=Preview(run, game, data) if previews else None, scorer=Score(game, data, seed) if scored else None, monitor=monitor, show=show
    )


@dataclass
class Preview:
    """Writes what the game shows of fixed records; or samples from fixed latents, and real ones beside them once."""

    run: Run
    game: Game
    data: Dataset

    def __call__(self, round: int) -> None:
        """Write the preview of a round."""
        seed, name = self.run.about["seed"], f"round-{round:08d}"
        shown_real = any((self.run.folder / "samples" / f"real.{ending}").exists() for ending in ("png", "npz", "txt"))
        if isinstance(self.game, Shows):
            if isinstance(self.game, Writes) and not shown_real:
                self._write("real", self.game.lines(self._reals(SHOWN)))
            self._write(name, _with_records(self.game, self.data, SHOWN, seed, self.game.show))
            return
        assert isinstance(self.game, Samples)
        classes = self._classes()
        count = CLOUD if self.data.spec.kind == "points" else GRID // classes * classes
        if not shown_real:
            self._write("real", self._reals_by_class(classes, count) if classes > 1 else self._reals(count), classes)
        labels = of_each_class(classes, count // classes) if classes > 1 else None
        self._write(name, draw_samples(self.game, count, seed=seed, labels=labels), classes)

    def _classes(self) -> int:
        """Rows of a grid with a class each; 1 where there are none, or too many."""
        told, spec = classes_told(self.game) or 1, self.data.spec
        fits = isinstance(self.data, ArrayDataset) and spec.kind == "image" and len(spec.class_counts) == told <= GRID // 2
        return told if fits else 1

    def _reals_by_class(self, classes: int, count: int) -> Tensor:
        """A row a class; where a class has too few images for its row, they come again, and one without any is white."""
        assert isinstance(self.data, ArrayDataset)
        order, width = order_of(self.data, 0).indices(0, len(self.data)), count // classes
        labels = self.data.column("label")[order]
        rows = [torch.nonzero(labels == k).flatten() for k in range(classes)]
        filled = [row[torch.arange(width) % len(row)] if len(row) else torch.zeros(width, dtype=torch.int64) for row in rows]
        images = self.data.records(order[torch.cat(filled)])["image"]
        images[torch.tensor([not len(row) for row in rows]).repeat_interleave(width)] = images.max()
        return images

    def _reals(self, count: int) -> Tensor:
        return self.data.records(order_of(self.data, 0).indices(0, count))[SAMPLE[self.data.spec.kind]]

    def _write(self, name: str, shown: Tensor | list[str], rows: int = 1) -> None:
        buffer, kind = io.BytesIO(), self.data.spec.kind
        if isinstance(shown, list):
            ending, content = "txt", "".join(f"{line}\n" for line in shown).encode()
        elif shown.ndim == 5 and (kind != "volume" or isinstance(self.game, Shows)):  # n m c h w
            image_grid(shown.flatten(0, 1), columns=shown.shape[1] * 2).save(buffer, format="png")
            ending, content = "png", buffer.getvalue()
        elif kind == "image":
            image_grid(shown, len(shown) // rows if rows > 1 else None).save(buffer, format="png")
            ending, content = "png", buffer.getvalue()
        else:
            arrays: dict[str, Any] = {f"{SAMPLE[kind]}s": shown.cpu().numpy()}
            np.savez_compressed(buffer, **arrays)
            ending, content = "npz", buffer.getvalue()
        write_bytes(self.run.folder / "samples" / f"{name}.{ending}", content)


class Score:
    """The quick score of the game as it is: of its samples, on the same latents every time, and of what it measures on the same records."""

    def __init__(self, game: Game, data: Dataset, seed: int) -> None:
        self.game, self.data, self.seed = game, data, seed
        self._scorer: QuickScorer | None = None

    @property
    def scorer(self) -> QuickScorer | None:
        """Of samples; made at the first score: it extracts the features of the real ones."""
        kind = self.data.spec.kind
        if (
            self._scorer is None
            and isinstance(self.game, Samples)
            and kind in METRICS
            and can_score(self.data)
            and not (kind == "sequence" and isinstance(self.game, Measures))
        ):
            self._scorer = QuickScorer(self.data)
        return self._scorer

    @property
    def metric(self) -> str:
        """The score that the best checkpoint is chosen by; lower is better."""
        if isinstance(self.game, Measures):
            return self.game.metric
        assert self.scorer is not None
        return self.scorer.metric

    def score(self, round: int, images_seen: int) -> dict[str, Any]:
        """Draw as many samples as the protocol asks for and score them; measure."""
        found: dict[str, Any] = {}
        with torch.random.fork_rng(devices=[]):
            if self.scorer is not None:
                assert isinstance(self.game, Samples)
                found |= self.scorer.score(draw_samples(self.game, self.scorer.num_fake, seed=self.seed))
            if isinstance(self.game, Measures):
                found |= _measures(self.game, self.data, self.seed)
        return found


def _measures(game: Measures, data: Dataset, seed: int) -> dict[str, float]:
    """Means over ``MEASURED`` records, in pieces."""
    indices = _chosen(data, MEASURED)
    sums: dict[str, float] = {}
    for part in torch.split(indices, CHUNK):
        for name, value in _looking(game, data, part, seed, game.measure).items():
            sums[name] = sums.get(name, 0.0) + float(value) * len(part) / len(indices)
    return sums


def _with_records(game: Any, data: Dataset, count: int, seed: int, look: Callable[[Batch, Draws], Any]) -> Any:
    return _looking(game, data, _chosen(data, count), seed, look)


def _chosen(data: Dataset, count: int) -> Tensor:
    """Numbers of records, spread over the data."""
    return order_of(data, 0).indices(0, min(count, len(data)))


@torch.no_grad()
def _looking(game: Any, data: Dataset, indices: Tensor, seed: int, look: Callable[[Batch, Draws], Any]) -> Any:
    """Let a game look at records, in evaluation mode, with draws of their own."""
    parameter = next(p for p in game.parameters() if p.is_floating_point())
    batch = to_device({**data.records(indices), "index": indices}, parameter.device, parameter.dtype)
    draws = Draws.seeded(seed, "look", int(indices[0]), device=parameter.device, dtype=parameter.dtype)
    was_training = game.training
    game.eval()
    try:
        with use(draws):
            return look(batch, draws)
    finally:
        game.train(was_training)
