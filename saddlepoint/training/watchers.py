"""What looks on while a run is trained: sample grids, quick scores, the health monitor."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from saddlepoint.data.order import Order
from saddlepoint.data.records import Dataset
from saddlepoint.evaluation.grid import image_grid
from saddlepoint.evaluation.health import HealthMonitor
from saddlepoint.evaluation.quick import QuickScorer
from saddlepoint.evaluation.samples import draw_samples
from saddlepoint.games.game import Game, Samples
from saddlepoint.training.observers import Watchers
from saddlepoint.training.run import Run
from saddlepoint.training.storage import write_bytes

GRID, CLOUD = 64, 2000  # samples in a preview: images, points


def make_watchers(run: Run, game: Game, data: Dataset, show: Callable[[dict[str, Any]], None] | None) -> Watchers:
    """Everything for a game that can draw samples; only the log's display for one that cannot."""
    if not isinstance(game, Samples):
        return Watchers(show=show)
    monitor = HealthMonitor(judge_separation=game.saturates)
    return Watchers(preview=Preview(run, game, data), scorer=Score(game, data, run.about["seed"]), monitor=monitor, show=show)


@dataclass
class Preview:
    """Writes samples from fixed latents, and real ones beside them once."""

    run: Run
    game: Samples
    data: Dataset

    def __call__(self, round: int) -> None:
        """Write the preview of a round."""
        count = GRID if self.data.spec.kind == "image" else CLOUD
        folder = self.run.folder / "samples"
        if not any((folder / f"real.{kind}").exists() for kind in ("png", "npz")):
            self._write("real", self.data.records(Order(len(self.data), 0).indices(0, count))["image" if count == GRID else "point"])
        self._write(f"round-{round:08d}", draw_samples(self.game, count, seed=self.run.about["seed"]))

    def _write(self, name: str, samples: Tensor) -> None:
        buffer = io.BytesIO()
        if samples.ndim == 4:
            image_grid(samples).save(buffer, format="png")
            write_bytes(self.run.folder / "samples" / f"{name}.png", buffer.getvalue())
        else:
            np.savez(buffer, points=samples.numpy())
            write_bytes(self.run.folder / "samples" / f"{name}.npz", buffer.getvalue())


class Score:
    """The quick score of the game as it is, on the same latents every time."""

    def __init__(self, game: Samples, data: Dataset, seed: int) -> None:
        self.game, self.data, self.seed = game, data, seed
        self._scorer: QuickScorer | None = None

    @property
    def scorer(self) -> QuickScorer:
        """Made at the first score: it extracts the features of the real samples."""
        self._scorer = self._scorer or QuickScorer(self.data)
        return self._scorer

    @property
    def metric(self) -> str:
        """The score that the best checkpoint is chosen by; lower is better."""
        return self.scorer.metric

    def score(self, round: int, images_seen: int) -> dict[str, Any]:
        """Draw as many samples as the protocol asks for and score them."""
        with torch.random.fork_rng(devices=[]):
            samples = draw_samples(self.game, self.scorer.num_fake, seed=self.seed)
            return self.scorer.score(samples)
