"""How a score was made, as a record that stands beside it; scores of unlike records are not compared."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

WORDS = {
    "metric": "metric",
    "settings": "settings of",
    "content_hash": "real data",
    "extractor": "extractor",
    "extractor_hash": "weights of the extractor",
    "dimension": "dimension of the features",
    "preprocessing": "preprocessing",
    "distance": "perceptual distance",
    "distance_hash": "weights of the distance",
    "distance_preprocessing": "preprocessing of the distance",
    "segmenter": "segmenter",
    "segmenter_hash": "weights of the segmenter",
    "label_maps_hash": "label maps",
    "held_out": "held-out data",
    "num_held_out": "number of held-out samples",
    "num_training": "number of training samples searched",
    "resolution": "resolution of the samples",
    "resize": "resizing",
    "num_real": "number of real samples",
    "num_fake": "number of generated samples",
    "truncation": "truncation",
    "ema": "averaged generator",
    "directions": "directions",
    "coverage_neighbours": "neighbours",
}  #: what must be equal before two scores may be compared; the seed, the version and the commit are told but may differ
_MAYBE = ("truncation", "ema")  # unknown for samples that come as files: no difference then
_PARTS = (  # each is of some metrics only: no difference where one side has none of them
    *("distance", "distance_hash", "distance_preprocessing", "segmenter", "segmenter_hash", "label_maps_hash"),
    *("held_out", "num_held_out", "num_training"),
)


def differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    """What keeps two scores from being compared, one phrase each; empty if nothing does.

    Args:
        a: protocol of one score.
        b: protocol of the other.

    >>> differences({"extractor": "quick", "num_fake": 1000, "seed": 0}, {"extractor": "quick", "num_fake": 500, "seed": 1})
    ['number of generated samples: 1000 and 500']
    >>> differences({"settings": {"kid": {"subsets": 100}}}, {"settings": {"precision-recall": {"neighbours": 3}}})     # no metric in common
    []
    """
    found = []
    for key, word in WORDS.items():
        one, other = a.get(key), b.get(key)
        if one == other or (key in _MAYBE + _PARTS and None in (one, other)):
            continue
        if key == "settings" and isinstance(one, Mapping) and isinstance(other, Mapping):
            unlike = [name for name in one if name in other and one[name] != other[name]]
            found += [f"{word} {name}: {_show(one[name])} and {_show(other[name])}" for name in unlike]
            continue
        found.append(f"{word}: {_show(one)} and {_show(other)}")
    return found


def _show(value: Any) -> str:
    return "not stated" if value is None else json.dumps(value) if isinstance(value, dict | list) else str(value)
