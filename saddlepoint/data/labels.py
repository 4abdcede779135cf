"""Few labels: the same records with a small labelled set beside them, for semi-supervised games (Salimans et al. 2016, section 5)."""

from __future__ import annotations

import dataclasses
import hashlib

import torch
from torch import Tensor

from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.data.records import Dataset, DataSpec
from saddlepoint.draws import derive_seed
from saddlepoint.errors import DataError, UsageError


class FewLabels:
    """Records that also carry a labelled sample each, drawn from a fixed, class-balanced subset.

    The record at index i carries the labelled sample at hash(seed, i) modulo the size of the subset: uniform over an epoch, and a function of
    the index alone, so a resumed run sees the same pairs.

    Attributes:
        spec: the data's own, with the fields ``labelled_image`` (or ``labelled_point``) and ``labelled_label`` added.
        labelled: indices of the labelled subset, int64 [per_class * num_classes], ordered by class.
    """

    def __init__(self, dataset: Dataset, labelled: Tensor, seed: int) -> None:
        self.dataset = dataset
        self.labelled = labelled
        self.seed = derive_seed("labelled", seed)
        self._sample = "image" if dataset.spec.kind == "image" else "point"
        self._subset = {name: values for name, values in dataset.records(labelled).items() if name in (self._sample, "label")}
        digest = hashlib.sha256(f"{dataset.spec.content_hash}:few:{labelled.tolist()}:{self.seed}".encode()).hexdigest()[:16]
        fields = (*dataset.spec.fields, *(f"labelled_{name}" for name in self._subset))
        self.spec: DataSpec = dataclasses.replace(dataset.spec, fields=fields, content_hash=digest)

    def __len__(self) -> int:
        """Number of records, the labelled ones among them."""
        return len(self.dataset)

    def records(self, indices: Tensor) -> dict[str, Tensor]:
        """The data's own fields at ``indices`` (int64 [n]) and a labelled sample beside each."""
        beside = scatter_hash(indices, self.seed) % len(self.labelled)
        return self.dataset.records(indices) | {f"labelled_{name}": values[beside] for name, values in self._subset.items()}


def few_labels(dataset: Dataset, per_class: int, seed: int) -> FewLabels:
    """Let only ``per_class`` randomly chosen records of each class keep their label for training.

    Args:
        dataset: with the field ``label``.
        per_class: labelled records of each class, at least 1.
        seed: of the choice and of the pairing.
    """
    if per_class < 1:
        raise UsageError(f"A semi-supervised game needs at least one label per class, got {per_class}.")
    spec = dataset.spec
    if spec.num_classes is None:
        raise DataError(
            f"A semi-supervised game needs labels; {spec.name} has none. Choose data with labels, or sort the images into one folder a class."
        )
    labels = _labels_of(dataset)
    rng = torch.Generator().manual_seed(derive_seed("few-labels", seed))
    shuffled = torch.randperm(len(labels), generator=rng)
    chosen = []
    for k in range(spec.num_classes):
        members = shuffled[labels[shuffled] == k]
        if len(members) < per_class:
            name = spec.class_names[k] if spec.class_names else str(k)
            raise DataError(f"{per_class} labels per class were asked for; class {name!r} of {spec.name} has {len(members)} records. Ask for fewer.")
        chosen.append(members[:per_class])
    return FewLabels(dataset, torch.cat(chosen), seed)


def scatter_hash(indices: Tensor, seed: int) -> Tensor:
    """Well-mixed non-negative int64 of each index: the finaliser of SplitMix64 (Steele et al. 2014), top bit dropped; any shape."""
    x = indices.to(torch.int64) + seed
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        x = (x ^ _shift_right(x, shift)) * (factor - 2**64)  # wraps modulo 2**64, as the hash wants
    mixed: Tensor = (x ^ _shift_right(x, 31)) & (2**63 - 1)
    return mixed


def _shift_right(x: Tensor, bits: int) -> Tensor:
    shifted: Tensor = (x >> bits) & (2 ** (64 - bits) - 1)  # torch's shift copies the sign bit; a hash must not
    return shifted


def _labels_of(dataset: Dataset, chunk: int = 1024) -> Tensor:
    if isinstance(dataset, ArrayDataset):
        return dataset.column("label")
    return torch.cat([dataset.records(rows)["label"] for rows in torch.split(torch.arange(len(dataset)), chunk)])
