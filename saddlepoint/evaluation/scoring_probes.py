"""What the engine can say of features by simple classifiers on them: an extractor's, or those of a run's own discriminator.

Radford et al. 2016 (arXiv:1511.06434), Section 5; see :mod:`saddlepoint.evaluation.probes`. Only real samples are looked at: they are cut, in the
order they come, into three fifths to learn from, one to choose the penalty on and one to test on.

Axes: n images, c channels, h w map, d features.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from saddlepoint.errors import UsageError
from saddlepoint.evaluation.case import Case, Result
from saddlepoint.evaluation.classwise import error_of_share
from saddlepoint.evaluation.extractors import Extractor, Outputs, as_input, hash_weights, pixels_as_they_are
from saddlepoint.evaluation.probes import few_label_svm, linear_probe, nearest_neighbour_accuracy
from saddlepoint.evaluation.scoring import LIMIT, all_labels
from saddlepoint.evaluation.store import Features

GRID = 4  # places a side that a map is pooled to
LABELS, DRAWS, VALIDATION_DRAWS = 100, 20, 3  # a class; of the paper's 100 and 10

Parts = tuple[NDArray[Any], NDArray[np.int64], NDArray[Any], NDArray[np.int64], NDArray[Any], NDArray[np.int64]]


def discriminator_features(game: Any, shape: tuple[int, ...]) -> Extractor:
    """The activations of a trained discriminator, each map of 4 pixels a side or more max-pooled to 4x4, flattened and joined, [n, d].

    Running statistics of batch norm are those of training; a conditional discriminator is told class 0 throughout.

    Args:
        game: with a ``discriminator`` of images.
        shape: of an image, (c, h, w).
    Raises:
        UsageError: for a game without one, or one that is not convolutional.
    """
    network = getattr(game, "discriminator", None)
    if not isinstance(network, nn.Module) or len(shape) != 3:
        raise UsageError("The extractor discriminator is of runs on images whose game has a discriminator. Choose another extractor.")
    network.eval().requires_grad_(False)
    told = getattr(game, "num_classes", None) is not None
    active: list[nn.Module] = [m for m in network.modules() if isinstance(m, nn.ReLU | nn.LeakyReLU | nn.ELU)]
    watched = active or [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    device = next(network.parameters()).device

    def look(images: Tensor) -> Outputs:
        maps: list[Tensor] = []

        def keep(module: nn.Module, given: Any, output: Tensor) -> None:
            if output.ndim == 4 and min(output.shape[2:]) >= GRID:
                seen = output if active else F.leaky_relu(output, 0.2)
                maps.append(F.adaptive_max_pool2d(seen.float(), GRID).flatten(1))  # a copy: the map itself may change in place

        hooks = [module.register_forward_hook(keep) for module in watched]
        try:
            x = as_input(images, device).to(next(network.parameters()).dtype)
            network(x, torch.zeros(len(x), dtype=torch.long, device=device)) if told else network(x)
        finally:
            for hook in hooks:
                hook.remove()
        if not maps:
            raise UsageError("This run's discriminator has no maps of 4 pixels a side or more. Choose another extractor.")
        return {"features": torch.cat(maps, 1)}

    with torch.no_grad():
        dimension = look(torch.zeros(2, *shape, dtype=torch.uint8))["features"].shape[1]
    words = f"maps of {'activations' if active else 'convolutions through LeakyReLU .2'}, max-pooled to {GRID}x{GRID}"
    return Extractor(
        name="discriminator", weights_hash=hash_weights(network.state_dict()), dimension=dimension, preprocessing=words, look=look, batch=64
    )


def _parts(features: Features, metric: str) -> Parts:
    rows = features.rows(limit=LIMIT)
    labels, n = all_labels(features, metric)[: len(rows)], len(rows)
    ends = slice(0, 3 * n // 5), slice(3 * n // 5, 4 * n // 5), slice(4 * n // 5, n)
    if len(np.unique(labels[ends[0]])) < 2 or set(labels[ends[2]]) - set(labels[ends[0]]):
        raise UsageError(f"{metric} needs real samples of every class to learn from; {n} came. Use more with --num-real.")
    learn, check, test = ends
    return rows[learn], labels[learn], rows[check], labels[check], rows[test], labels[test]


def _per_class(parts: Parts) -> int:
    """Labels to draw of each class: 100, or half of the rarest class, so that draws differ."""
    return int(max(1, min(LABELS, np.unique(parts[1], return_counts=True)[1].min() // 2)))


def svm(case: Case, errors: bool = True) -> Result:
    """Test error of an L2-SVM on few labels, on the extractor's features; the same on raw pixels is in the details."""
    parts = _parts(case.real, "svm")
    found = few_label_svm(*parts, per_class=_per_class(parts), draws=DRAWS, validation_draws=VALIDATION_DRAWS, seed=case.extras.seed)
    plain = _parts(Features(case.real.samples, pixels_as_they_are(case.real.samples.shape)), "svm")
    pixels = few_label_svm(*plain, per_class=_per_class(parts), draws=DRAWS, validation_draws=VALIDATION_DRAWS, seed=case.extras.seed)
    details = {"labels_a_class": _per_class(parts), "penalty": found.penalty, "pixels": pixels.error, "pixels_spread": pixels.spread}
    return Result(values={"svm_error": found.error}, errors={"svm_error": found.spread / 1.96 / math.sqrt(DRAWS)}, details=details)


def probe(case: Case, errors: bool = True) -> Result:
    """Test accuracy of multinomial logistic regression on the extractor's features; the same on raw pixels is in the details."""
    parts = _parts(case.real, "probe")
    found, tests = linear_probe(*parts[:2], *parts[4:], seed=case.extras.seed), len(parts[5])
    plain = _parts(Features(case.real.samples, pixels_as_they_are(case.real.samples.shape)), "probe")
    pixels = linear_probe(*plain[:2], *plain[4:], seed=case.extras.seed)
    error = error_of_share(found.accuracy, tests)
    return Result(values={"probe": found.accuracy}, errors={"probe": error}, details={"penalty": found.penalty, "pixels": pixels.accuracy})


def neighbour(case: Case, errors: bool = True) -> Result:
    """Share of test samples whose nearest learnt sample, in the extractor's features, has their class."""
    parts = _parts(case.real, "1nn")
    share = nearest_neighbour_accuracy(*parts[:2], *parts[4:])
    return Result(values={"1nn": share}, errors={"1nn": error_of_share(share, len(parts[5]))})
