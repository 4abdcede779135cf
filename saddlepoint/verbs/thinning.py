"""Data without near duplicates: how they are found, and what is written of those that go."""

from __future__ import annotations

from typing import Any, Literal

from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.data.near import BITS, NEAR, Show, check_images, perceptual_hashes, twins, without_twins

Way = Literal["perceptual", "code"]
DISTANCE: dict[Way, int] = {"perceptual": NEAR, "code": 0}  # as `data check`; as Radford et al. 2016, section 4.1.1


def thin(data: ArrayDataset, way: Way, differing_bits: int | None = None, show: Show | None = None) -> tuple[ArrayDataset, dict[str, Any]]:
    """Leave out every image that is nearly the same as one before it.

    Args:
        data: images.
        way: "perceptual": 64 bits of brighter and darker places; "code": 128 bits of an autoencoder that is trained on these images first.
        differing_bits: that two hashes may differ in; None: 4 of 64, or 0 of 128.
        show: called with (images hashed, all).
    Returns:
        The data that are left, and what a conversion writes of it.
    Raises:
        DataError: for data that are no images.
        UsageError: for a number of bits that cannot be.
    """
    check_images(data)
    distance = DISTANCE[way] if differing_bits is None else differing_bits
    about: dict[str, Any] = {"way": way, "differing_bits": distance}
    if way == "perceptual":
        hashes, bits = perceptual_hashes(data, show), BITS
    else:
        from saddlepoint.config import to_json
        from saddlepoint.studies import hashing
        from saddlepoint.zoo.autoencoder import HASHING

        hashes, bits = hashing.code_hashes(data, show=show), hashing.BITS
        about |= {"recipe": "autoencoder", "preset": "hashing", "config": to_json(HASHING), "seed": 0}
    left, found = without_twins(data, twins(hashes, distance, bits), about | {"bits": bits})
    return left, {"without_duplicates": found}
