r"""Does a generator jump between its latents? One that learnt images by heart shows one, then another, and little between.

.. math:: J = \mathbb{E} \max_i d_i / \sum_i d_i, \qquad d_i = d(G(z(i/T)), G(z((i+1)/T)))

An even walk of T steps has J = 1/T; where all that changes changes in one step J = 1. Radford et al. 2016 (arXiv:1511.06434), Section 6.1, look for
sharp transitions by eye; this is the same as a number. It is no proof either way: classes are far apart in honest generators too.

Axes: n paths, d latent, c channels, h w image, t steps.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from saddlepoint.draws import Draws, use
from saddlepoint.errors import UsageError
from saddlepoint.evaluation.perceptual import Distance, join
from saddlepoint.evaluation.walks import Walk

STEPS = 16


def largest_steps(walk: Walk, distance: Distance, *, paths: int, steps: int = STEPS, batch_size: int = 32, seed: int = 0) -> NDArray[np.float64]:
    """The largest step's share of each path between two random latents, labels and noise staying as they are; in [1/t, 1], float64 [n].

    Args:
        walk: the generator.
        distance: images, images -> [n].
        paths: n.
        steps: t, 2 or more.
        batch_size: paths at a time.
        seed: of the latents and of the noise.
    Returns:
        1/t of a path on which nothing changes.
    Raises:
        UsageError: for no path or fewer than two steps, or distances that are not finite.
    """
    if paths < 1 or steps < 2:
        raise UsageError(f"A walk needs a path and two steps or more; {paths} and {steps} came.")
    found = []
    with torch.no_grad():
        for start in range(0, paths, batch_size):
            n = min(batch_size, paths - start)
            draws = Draws.seeded(seed, "walk", start, device=walk.device, dtype=walk.dtype)
            first, second = walk.latents(2 * n, draws).chunk(2)
            labels = None if walk.num_classes is None else draws.integers(n, high=walk.num_classes)
            images, lengths = None, []
            for step in range(steps + 1):
                with use(Draws.seeded(seed, "noise", start, device=walk.device, dtype=walk.dtype)):
                    after = walk.images(join(first, second, torch.full((n, 1), step / steps), walk.between), labels)
                if images is not None:
                    lengths.append(distance(images, after).double().cpu())
                images = after
            found.append(torch.stack(lengths, 1))  # n t
    steps_of = torch.cat(found).numpy()
    if steps_of.shape != (paths, steps) or not np.isfinite(steps_of).all():
        raise UsageError("A walk needs one finite distance a step; NaN or another shape came. Look at the distance and the generator.")
    total = steps_of.sum(1)
    return np.asarray(np.where(total > 0, steps_of.max(1) / np.where(total > 0, total, 1), 1 / steps))
