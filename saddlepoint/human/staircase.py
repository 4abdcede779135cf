"""How long the next picture is shown: a weighted up-down staircase that settles where a rater is right three times in four (HYPE-time).

Zhou et al. 2019 (arXiv:1904.01121): a block starts at 500 ms and holds 150 pictures, half of them generated; exposures stay within 100 and
1,000 ms; steps are 10 and 30 ms; a rater's threshold is the mean over blocks of the exposure shown most often in each; higher is better for the
generator. Which step goes which way is taken from the 75 % at which it settles (Kaernbach 1991): 10 ms shorter after a right answer and
30 ms longer after a wrong one balance where p * 10 = (1 - p) * 30.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from saddlepoint.errors import UsageError

START_MS, SHORTEST_MS, LONGEST_MS = 500, 100, 1000
DOWN_MS, UP_MS = 10, 30


def next_exposure(right: Sequence[bool]) -> int:
    """Exposure in milliseconds after the answers given so far in a block.

    >>> next_exposure([]), next_exposure([True, True]), next_exposure([True, False])
    (500, 480, 520)
    """
    return exposures(right)[-1]


def exposures(right: Sequence[bool]) -> list[int]:
    """Exposures of a block from its answers: one more than there are answers, the last being that of the next picture."""
    shown = [START_MS]
    for answer in right:
        shown.append(min(LONGEST_MS, max(SHORTEST_MS, shown[-1] + (-DOWN_MS if answer else UP_MS))))
    return shown


def modal_exposure(shown: Sequence[int]) -> float:
    """The exposure shown most often in a block; the mean of several that were shown equally often."""
    if not shown:
        raise UsageError("A threshold needs a block with at least one answer; none came.")
    counts = Counter(shown)
    most = max(counts.values())
    return float(np.mean([exposure for exposure, count in counts.items() if count == most]))


def threshold(blocks: Sequence[Sequence[int]]) -> float:
    """A rater's HYPE-time in milliseconds: the mean of the modal exposures of the blocks."""
    return float(np.mean([modal_exposure(block) for block in blocks]))
