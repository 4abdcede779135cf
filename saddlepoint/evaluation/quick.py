"""The quick score: what a training prints of its samples as it goes, always beside what real samples would get.

Images: Frechet distance, coverage and pairwise distance on the features of the quick classifier. Points: modes covered and high-quality share where
the centres are known, sliced Wasserstein distance always. Sequences: Jensen-Shannon divergence of their n-grams. A score is worth only as much as its
``protocol`` says: write the one with the other.

Axes: n samples, c channels, h w image, d dimension.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from saddlepoint.data.order import order_of
from saddlepoint.data.records import SAMPLE, Dataset
from saddlepoint.draws import derive_seed
from saddlepoint.errors import UsageError
from saddlepoint.evaluation.arrays import Float64, Rows, as_rows
from saddlepoint.evaluation.classifier import QuickFeatures, seen_as
from saddlepoint.evaluation.diversity import mean_pairwise_distance
from saddlepoint.evaluation.frechet import frechet_distance
from saddlepoint.evaluation.modes import mode_coverage
from saddlepoint.evaluation.neighbours import coverage
from saddlepoint.evaluation.sequences import ngram_jensen_shannon
from saddlepoint.evaluation.sliced import sliced_wasserstein

NUM_REAL, NUM_FAKE = 2000, 1000  # samples of a score
NEIGHBOURS = 5  # of coverage, as in its paper
DIVISIONS = 5  # random divisions of the real samples that the floor is the mean of
DIRECTIONS = 128  # of the sliced distance
ORDERS = (1, 2, 3, 4, 6)  # of n-grams: Gulrajani et al. 2017 print 1 to 4, Heusel et al. 2017 4 and 6
METRICS = {"image": "quick_frechet", "points": "sliced_wasserstein", "sequence": "ngram_js4"}  # kind of data: the main score


def can_score(dataset: Dataset) -> bool:
    """Whether there are records enough for the quick score and its floor: 18 at least."""
    return min(NUM_REAL, NUM_FAKE) * len(dataset) // (NUM_REAL + NUM_FAKE) > NEIGHBOURS


class QuickScorer:
    """Scores samples against a fixed random part of the real data; real against real, in the same numbers, gives the floor.

    Data with fewer than ``num_real + num_fake`` records are divided in the same proportion, and the attributes say what came of it.

    Args:
        dataset: the real data.
        num_real: real samples to compare with.
        num_fake: generated samples that a score takes; every finite count has its own bias, so a score takes exactly this many.
        seed: chooses the real samples.
        device: where the features are computed.

    Attributes:
        metric: the main score, lower is better: that of ``METRICS``.
        floor: the scores of ``num_fake`` real samples against ``num_real`` others: the mean over five random divisions of the chosen ones.
        protocol: everything a reader must know to compare the numbers; plain JSON.
    """

    def __init__(
        self, dataset: Dataset, *, num_real: int = NUM_REAL, num_fake: int = NUM_FAKE, seed: int = 0, device: torch.device | str = "cpu"
    ) -> None:
        records, self.kind = len(dataset), dataset.spec.kind
        share = min(1.0, records / (num_real + num_fake))
        self.num_real, self.num_fake = int(num_real * share), int(num_fake * share)
        if min(self.num_real, self.num_fake) <= NEIGHBOURS:
            least = f"more than {NEIGHBOURS} real samples on either side of its floor"
            raise UsageError(
                f"The quick score needs {least}; {dataset.spec.name} has {records} records for {num_real} and {num_fake}. Use more data."
            )
        rng = torch.Generator().manual_seed(derive_seed("quick score", seed))
        chosen = torch.randperm(records, generator=rng)[: self.num_real + self.num_fake]
        if getattr(dataset, "blocks", None) is not None:  # of a stream, from few shards
            chosen = order_of(dataset, derive_seed("quick score", seed)).indices(0, len(chosen))
        samples = dataset.records(chosen)[SAMPLE[self.kind]]
        self.metric = METRICS[self.kind] if self.kind != "sequence" else f"ngram_js{min(4, samples.shape[1])}"
        self._features = QuickFeatures(device) if self.kind == "image" else None
        self._modes = _modes_of(dataset)
        rows = as_rows(self._see(samples), "real")
        self._real = rows[: self.num_real]
        self.protocol = self._describe(dataset, seed)
        self.floor = self._floor(rows, rng)

    def score(self, fake: NDArray[np.generic] | Tensor) -> dict[str, Any]:
        """Score ``num_fake`` generated samples; the first so many of more.

        Args:
            fake: images [n, c, h, w], uint8 or float in [-1, 1]; or points [n, d]; or sequences int64 [n, t].
        Returns:
            Images: quick_frechet (>= 0, lower is better; no FID), coverage in [0, 1] (share of real samples with a generated one in their
            neighbourhood), pairwise_distance (mean distance between generated samples over that between real ones; 1 is as varied as the data).
            Points: sliced_wasserstein (>= 0, in the points' units, lower is better), and for mixtures modes, high_quality, modes_kl (nats; log of the
            number of modes where no sample lies near any). Sequences: ngram_js1 ... (bits in [0, 1], lower is better), of the orders that the
            sequences are long enough for. With all: floor, the same scores of real samples, and protocol.
        """
        if len(fake) < self.num_fake:
            raise UsageError(f"The quick score needs {self.num_fake} samples, as its floor was made with; {len(fake)} came. Draw more samples.")
        rows = as_rows(self._see(fake[: self.num_fake]), "generated")
        return {**self._compare(self._real, rows), "floor": self.floor, "protocol": self.protocol}

    def _floor(self, rows: Float64, rng: torch.Generator) -> dict[str, float]:
        """Mean scores of real samples against others."""
        orders = [torch.randperm(len(rows), generator=rng).numpy() for _ in range(DIVISIONS)]
        found = [self._compare(rows[order[: self.num_real]], rows[order[self.num_real :]]) for order in orders]
        return {name: float(np.mean([scores[name] for scores in found])) for name in found[0]}

    def _see(self, samples: NDArray[np.generic] | Tensor) -> Rows:
        """Features of images, points as they are; images of other than 1 or 3 channels are seen as the mean of their channels."""
        if not self._features:
            return samples
        return self._features(seen_as(samples))

    def _compare(self, real: Float64, fake: Float64) -> dict[str, float]:
        """Every score of ``fake`` rows against ``real`` ones."""
        if self.kind == "image":
            spread = mean_pairwise_distance(real)
            return {
                "quick_frechet": frechet_distance(real, fake),
                "coverage": coverage(real, fake, k=NEIGHBOURS),
                "pairwise_distance": mean_pairwise_distance(fake) / spread if spread else 1.0,
            }
        if self.kind == "sequence":
            first, second = (rows.astype(np.int64).tolist() for rows in (real, fake))
            return {f"ngram_js{order}": ngram_jensen_shannon(first, second, order) for order in ORDERS if order <= real.shape[1]}
        scores = {"sliced_wasserstein": sliced_wasserstein(real, fake, num_directions=DIRECTIONS)}
        if self._modes:
            centers, std = self._modes
            report = mode_coverage(fake, centers, std)
            kl = report.kl if np.isfinite(report.kl) else float(np.log(len(centers)))
            scores |= {"modes": float(report.modes), "high_quality": report.high_quality, "modes_kl": kl}
        return scores

    def _describe(self, dataset: Dataset, seed: int) -> dict[str, Any]:
        """Say how the numbers were made."""
        spec = dataset.spec
        common = {
            "metric": self.metric,
            "data": spec.name,
            "content_hash": spec.content_hash,
            "num_real": self.num_real,
            "num_fake": self.num_fake,
            "seed": seed,
            "floor": f"{self.num_fake} real samples as if generated against {self.num_real} others, mean of {DIVISIONS} random divisions",
        }
        if self._features:
            accuracy = {head: entry["held_out_accuracy"] for head, entry in self._features.card["heads"].items()}
            seen = {"extractor": self._features.name, "extractor_accuracy": accuracy, "resize": self._features.resize}
            if spec.shape[0] not in (1, 3):
                seen["channels"] = f"mean of {spec.shape[0]}"
            return (
                common
                | seen
                | {"coverage_neighbours": NEIGHBOURS, "note": "a Frechet distance on a small classifier's features: not FID, not comparable with FID"}
            )
        if self.kind == "sequence":
            return common | {"behind the end": "counts as tokens", "orders": [order for order in ORDERS if order <= spec.shape[0]]}
        if not self._modes:
            return common | {"directions": DIRECTIONS}
        return common | {
            "directions": DIRECTIONS,
            "num_modes": len(self._modes[0]),
            "high_quality_within": "3 standard deviations of the nearest centre",
        }


def _modes_of(dataset: Dataset) -> tuple[Float64, float] | None:
    """Centres and deviation of a mixture, where the data know theirs and it is not a point mass."""
    centers, std = getattr(dataset, "centers", None), float(getattr(dataset, "std", 0.0))
    return None if centers is None or std <= 0 else (as_rows(centers, "centre"), std)
