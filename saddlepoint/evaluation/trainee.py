"""The small classifier that CAS trains: on generated images, to be tested on real ones.

Five convolutions with batch norm at 32x32 pixels (the architecture of the quick extractor), AdamW with a one-cycle rate. It starts from random
weights that depend on the seed alone.

Axes: n images, c channels, h w image, k classes.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from saddlepoint.draws import derive_seed
from saddlepoint.evaluation.classifier import QuickNet, prepare

BATCH, EPOCHS, LEAST_STEPS, MOST_STEPS = 64, 10, 200, 2000
PEAK_RATE, WEIGHT_DECAY = 4e-3, 0.1
_LOOK = 250  # images at a time when it answers


def steps_for(num: int) -> int:
    """Batches that a training set of ``num`` images is learnt in: ten epochs, within 200 and 2,000.

    >>> [steps_for(num) for num in (100, 10_000, 50_000)]
    [200, 1563, 2000]
    """
    return min(max(-(-EPOCHS * num // BATCH), LEAST_STEPS), MOST_STEPS)


def train_classifier(
    images: Tensor, labels: NDArray[np.int64], num_classes: int, *, seed: int = 0, device: torch.device | str = "cpu"
) -> Callable[[Tensor], NDArray[np.int64]]:
    """Train on labelled images.

    Args:
        images: uint8 [n, c, h, w], c of 1 or 3.
        labels: [n], 0..k-1.
        num_classes: k.
        seed: of weights and batches.
        device: where it is trained.
    Returns:
        Images uint8 [m, c, h, w] -> labels [m].
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed("classifier", seed))
        net = QuickNet({"own": num_classes}, norm=True).to(device).to(memory_format=torch.channels_last)
    rng, steps = torch.Generator().manual_seed(derive_seed("batches", seed)), steps_for(len(images))
    optimizer = torch.optim.AdamW(net.parameters(), lr=PEAK_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_RATE, total_steps=steps, pct_start=0.2)
    truth = torch.as_tensor(labels)
    epochs = -(-steps * BATCH // len(images))
    order = torch.cat([torch.randperm(len(images), generator=rng) for _ in range(epochs)])
    for chosen in order[: steps * BATCH].view(steps, BATCH):
        batch = prepare(images[chosen]).to(device)
        loss = F.cross_entropy(net.logits(net(batch), "own"), truth[chosen].to(device))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    net.eval()

    @torch.no_grad()
    def classify(tests: Tensor) -> NDArray[np.int64]:
        parts = [net.logits(net(prepare(part).to(device)), "own").argmax(1).cpu() for part in torch.split(tests, _LOOK)]
        return np.asarray(torch.cat(parts).numpy())

    return classify
