"""Music in other keys, as an augmentation: a field "transposed", int64 [n, k, t], holds the other keys of each record's tokens."""

from __future__ import annotations

import torch
from torch import Tensor

from saddlepoint.data.augmenting import Chance, Records, augmentation


@augmentation(
    "transpose",
    kinds=("sequence",),
    needs=("transposed", "abc:PATH?transpose=5 or midi:PATH?transpose=5"),
    title="music in another key, each of those that were asked for equally often",
)
def transpose(records: Records, chance: Chance) -> dict[str, Tensor]:
    """The tokens themselves or one of their other keys."""
    keys = torch.cat([records["tokens"][:, None], records["transposed"]], 1)
    return {**records, "tokens": keys[torch.arange(len(keys)), chance.below(keys.shape[1])]}
