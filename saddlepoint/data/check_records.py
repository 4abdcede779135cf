"""A look at data that are no images, before they are used: points, sequences, volumes, sounds."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

import torch

from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.data.records import SAMPLE
from saddlepoint.data.vocabulary import END, UNKNOWN

AT_ONCE = 1024  # records
LISTED = 20  # groups of copies, or words, that a report names
COMMONEST = 10  # tokens


@dataclass
class RecordsReport:
    """What a check found; plain values, so that it can be printed as JSON.

    Attributes:
        path: what was checked.
        kind: of data.
        records: how many.
        shape: of one.
        labels: class -> count; empty without labels.
        duplicates: groups of equal records, by name or number.
        lengths: of sequences: least, median and most tokens; empty of other data.
        vocabulary: of sequences: how many tokens there are.
        commonest: of sequences: token -> count.
        unknown: of sequences: share of tokens without a number.
        range: least and largest value; empty of sequences.
        notes: what happened on the way in.
        advice: what to do, in plain words.
    """

    path: str
    kind: str
    records: int
    shape: list[int]
    labels: dict[str, int]
    duplicates: list[list[str]]
    lengths: list[int]
    vocabulary: int
    commonest: dict[str, int]
    unknown: float
    range: list[float]
    notes: list[str]
    advice: list[str] = field(default_factory=list)


def check_records(path: str, data: ArrayDataset, show: Callable[[int, int], None] | None = None) -> RecordsReport:
    """Read every record once.

    Args:
        path: as the user gave it.
        data: not of images.
        show: called with (records done, all).
    """
    spec, name = data.spec, SAMPLE[data.spec.kind]
    labels: Counter[str] = Counter()
    tokens: Counter[int] = Counter()
    same: dict[bytes, list[str]] = defaultdict(list)
    lengths: list[int] = []
    least, most = float("inf"), float("-inf")
    for rows in torch.split(torch.arange(len(data)), AT_ONCE):
        records = data.records(rows)
        values = records[name]
        for row, value in zip(rows.tolist(), values, strict=True):
            same[hashlib.sha256(value.numpy().tobytes()).digest()].append(data.names[row] if data.names else str(row))
        if "label" in records:
            labels.update(spec.class_names[k] if spec.class_names else str(k) for k in records["label"].tolist())
        if spec.kind == "sequence":
            bounded = bool(spec.vocabulary) and spec.vocabulary[0] == END
            lengths.extend(((values != 0).sum(1) if bounded else torch.full((len(values),), values.shape[1])).tolist())
            tokens.update(values.flatten().tolist())
        else:
            least, most = min(least, float(values.min())), max(most, float(values.max()))
        if show is not None:
            show(int(rows[-1]) + 1, len(data))
    words = {spec.vocabulary[number] if spec.vocabulary else str(number): count for number, count in tokens.most_common()}
    words.pop(END, None)
    report = RecordsReport(
        path=path,
        kind=spec.kind,
        records=len(data),
        shape=[*spec.shape],
        labels=dict(labels.most_common()),
        duplicates=[names for names in same.values() if len(names) > 1],
        lengths=[min(lengths), sorted(lengths)[len(lengths) // 2], max(lengths)] if lengths else [],
        vocabulary=len(spec.vocabulary),
        commonest=dict([*words.items()][:COMMONEST]),
        unknown=words.get(UNKNOWN, 0) / max(1, sum(words.values())),
        range=[] if spec.kind == "sequence" else [least, most],
        notes=[*data.notes],
    )
    copies = sum(len(names) - 1 for names in report.duplicates)
    if copies and spec.kind != "sequence":
        report.advice.append(f"{copies} records are copies of others: they count twice in training and hide memorisation. Remove them.")
    if report.unknown > 0.01:
        report.advice.append(f"{report.unknown:.1%} of the tokens are unknown: ask for a smaller min_count.")
    return report


def lines_of_records(report: RecordsReport) -> list[str]:
    """The report for people."""
    shape = "x".join(map(str, report.shape))
    lines = [f"{report.path}: {report.records} records of {report.kind} data, {shape} each"]
    if report.lengths:
        lines.append(f"tokens of a record: {report.lengths[0]} to {report.lengths[2]}, half have at most {report.lengths[1]}")
        commonest = ", ".join(f"{word!r} ({count})" for word, count in report.commonest.items())
        lines.append(f"vocabulary: {report.vocabulary} tokens; the commonest are {commonest}")
    if report.range:
        lines.append(f"values: {report.range[0]:.4g} to {report.range[1]:.4g}")
    if report.labels:
        lines.append("labels: " + ", ".join(f"{name} ({count})" for name, count in [*report.labels.items()][:LISTED]))
    if report.duplicates:
        shown = "; ".join(" = ".join(names[:3]) for names in report.duplicates[:3])
        lines.append(f"copies: {sum(len(names) - 1 for names in report.duplicates)} records equal another, such as {shown}")
    return [*lines, *report.notes, *report.advice]
