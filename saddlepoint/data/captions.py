"""Images with captions as vectors: ``captions:DATA?encoder=letters``.

DATA is any data of images that has captions (a table or .txt files beside them), names or keywords, as the shipped emoji, or attributes, as the drawn
faces: of these captions are made. The encoder (:mod:`saddlepoint.data.sentences`) reads every caption once. A record has "caption", float32 [e], of
length 1: the direction of the mean of its captions' vectors (the code of Reed et al. 2016 takes the mean of four).

Axes: n records, e numbers of a caption.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath

import torch
import torch.nn.functional as F
from torch import Tensor

from saddlepoint.data.arrays import ArrayDataset
from saddlepoint.data.options import read_options
from saddlepoint.data.registry import Request
from saddlepoint.data.sentences import LETTERS, Encoder, open_encoder
from saddlepoint.errors import DataError, UsageError

PREFIX = "captions:"
KEYWORDS = 4  # in a caption made of them


def open_captions(place: str, request: Request, open: Callable[[str, Request], ArrayDataset]) -> ArrayDataset:
    """The data with captions as vectors, see the module.

    Args:
        place: what stands behind "captions:".
        request: resolution and channels.
        open: the data within, by name or path.
    Raises:
        DataError: for data without captions and names.
    """
    within, options = read_options(place, {"encoder": LETTERS})
    data = open(within, request)
    if data.spec.kind != "image":
        raise DataError(f"{within} holds {data.spec.kind} data; captions are of images.")
    captions = captions_of_records(data)
    vectors = embed_many(open_encoder(str(options["encoder"])), captions)
    fields = {name: data.column(name) for name in data.spec.fields} | {"caption": vectors}
    digest = hashlib.sha256(f"{data.spec.content_hash}:".encode() + vectors.numpy().tobytes()).hexdigest()[:16]
    shapes = dict(data.spec.shapes) | {"caption": (vectors.shape[1],)}
    spec = dataclasses.replace(data.spec, name=request.name, content_hash=digest, fields=tuple(fields), shapes=shapes)
    first = [each[0] for each in captions]
    told = ArrayDataset(
        fields, spec, names=data.names, keywords=data.keywords, captions=first, attribute_names=data.attribute_names, notes=data.notes
    )
    told.splits = data.splits
    return told


def captions_of_records(data: ArrayDataset) -> list[list[str]]:
    """The captions of each record: its own, or made of its attributes, or of its name, its keywords and its class.

    Raises:
        DataError: if it has none of these.
    """
    if data.captions:
        return [[caption] for caption in data.captions]
    if data.attribute_names and "attributes" in data.spec.fields:
        return [[attribute_caption(row, data.attribute_names)] for row in data.column("attributes").tolist()]
    names = [_words(name) for name in data.names] if data.names else [""] * len(data)
    keywords = data.keywords or ((),) * len(data)
    classes = [data.spec.class_names[label] for label in data.column("label").tolist()] if data.spec.class_names else [""] * len(data)
    made = [made_captions(*each) for each in zip(names, keywords, classes, strict=True)]
    if not all(made):
        raise DataError(
            f"{data.spec.name} has no captions: {sum(not each for each in made)} of {len(made)} images have neither a caption nor a name of words. "
            "Put a table or a .txt file with captions beside them (docs/data.md)."
        )
    return made


def made_captions(name: str, keywords: Sequence[str], group: str) -> list[str]:
    """Captions of an image that has a name, keywords and a class, as far as it has them.

    >>> made_captions("red heart", ["love", "valentine"], "Symbols")
    ['red heart', 'a picture of red heart', 'love, valentine', 'symbols: red heart']
    """
    found = [name, f"a picture of {name}"] if name else []
    found += [", ".join(keywords[:KEYWORDS])] if keywords else []
    return found + ([f"{group.lower()}: {name}"] if group and name else [group.lower()] if group else [])


def attribute_caption(values: Sequence[float], names: Sequence[str]) -> str:
    """What an image has of the attributes ``names``: those whose value is above .5, in their order.

    >>> attribute_caption([1.0, 0.0, 1.0], ["black-hair", "glasses", "Wearing_Hat"]), attribute_caption([0.0], ["hat"])
    ('black hair, wearing hat', 'none of hat')
    """
    words = [re.sub(r"[-_]+", " ", name).lower() for name in names]
    return ", ".join(word for word, value in zip(words, values, strict=True) if value > 0.5) or f"none of {', '.join(words)}"


def _words(name: str) -> str:
    """The words of a file's name; nothing of a number or a code.

    >>> _words("birds/red_heart-2.png"), _words("000123.png")
    ('red heart', '')
    """
    return " ".join(re.findall(r"[^\W\d_]{2,}", PurePosixPath(name).stem))


def embed_many(encoder: Encoder, captions: Sequence[Sequence[str]]) -> Tensor:
    """The direction of the mean vector of each record's captions, float32 [n, e]; equal sentences are read once."""
    numbers: dict[str, int] = {}
    for each in captions:
        for caption in each:
            numbers.setdefault(caption, len(numbers))
    vectors = encoder.embed(list(numbers))
    means = [vectors[[numbers[caption] for caption in each]].mean(0) for each in captions]
    return F.normalize(torch.stack(means), dim=1)


def encoder_of(data_name: str) -> Encoder:
    """The encoder of data by their name, to tell a trained generator a new caption.

    Raises:
        UsageError: if the data have no captions.
    """
    if not data_name.startswith(PREFIX):
        raise UsageError(f"This run was trained on {data_name}, which has no captions. Train gan-cls or stackgan on captions:DATA first.")
    whole = re.sub(r":(train|test)$", "", data_name.removeprefix(PREFIX))
    return open_encoder(str(read_options(whole, {"encoder": LETTERS})[1]["encoder"]))
