"""StarGAN: Choi et al., "StarGAN: unified generative adversarial networks for multi-domain image-to-image translation", CVPR 2018."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from saddlepoint.data.records import Dataset
from saddlepoint.errors import DataError, UsageError, nearest
from saddlepoint.games.domains import Domains
from saddlepoint.games.player import Adam
from saddlepoint.games.stargan import StarGANConfig, StarGANGame
from saddlepoint.networks.stargan import StarGANDiscriminator, StarGANGenerator
from saddlepoint.zoo.catalogue import recipe
from saddlepoint.zoo.pix2pix import partner_shape

# Section 5 and the released code: 200,000 turns of D, G after every fifth; batch 16, Adam 1e-4 (.5, .999), the rate falls over the second half;
# 128 pixels, mirrored.
PAPER = StarGANConfig(batch=16, rounds=40_000, resolution=128)
CELEBA = ("Black_Hair", "Blond_Hair", "Brown_Hair", "Male", "Young")
SMALL = replace(
    PAPER, resolution=32, batch=8, rounds=2_000, width=16, d_width=32, blocks=3, d_steps=2, optimizer=Adam(lr=1e-3, beta1=0.5, beta2=0.999)
)


@recipe(
    name="stargan",
    title="one translator between many domains: attributes or classes, of one data set or of two",
    paper="Choi et al. 2018",
    year=2018,
    url="https://arxiv.org/abs/1711.09020",
    needs=("image",),
    presets={"paper": PAPER, "celeba": replace(PAPER, attributes=CELEBA), "rafd": replace(PAPER, domains="labels"), "small": SMALL},
)
def stargan(config: StarGANConfig, data: Dataset) -> StarGANGame:
    """The networks for the domains of the data, or of both its images."""
    shape = data.spec.shape
    sides = [_domains(config, data, "image", "")]
    if any(f"other_{field}" in data.spec.fields for field in ("label", "attributes")):
        if partner_shape(data.spec, "other", "stargan", "domains") != shape:
            raise DataError(f"stargan needs both data sets with as many channels; {data.spec.name} has other ones. Bring them to one kind.")
        sides.append(_domains(config, data, "other", "other_"))
    size = shape[1], shape[2]
    if min(size) < 8 or size[0] % 4 or size[1] % 4:
        raise DataError(f"stargan needs sides of 8 pixels or more that 4 divides; {size[1]}x{size[0]} came. Choose --resolution 32, for example.")
    known = sum(len(side.names) for side in sides)
    generator = StarGANGenerator(shape[0], known + (2 if len(sides) == 2 else 0), config.width, config.blocks, norm=config.norm)
    return StarGANGame(config, generator, StarGANDiscriminator(shape[0], known, size, config.d_width), sides)


def _domains(config: StarGANConfig, data: Dataset, image: str, prefix: str) -> Domains:
    """The domains of one side: what the configuration asks for, or attributes where there are any, otherwise classes.

    Raises:
        DataError: without them.
        UsageError: for an attribute that the data does not have.
    """
    fields = data.spec.fields
    kind = config.domains if config.domains != "auto" else "attributes" if f"{prefix}attributes" in fields else "labels"
    source = prefix + ("attributes" if kind == "attributes" else "label")
    if source not in fields:
        other = "Put each class into a folder of its own, or attributes into metadata.csv."
        raise DataError(f"stargan needs {kind} as domains; {data.spec.name} has {', '.join(fields)}. {other}")
    values, names = _column(data, source), _names(data, source)
    if kind == "labels":
        k = len(names) or int(values.max()) + 1
        return Domains(names or [f"{prefix}{i}" for i in range(k)], F.one_hot(values, k), exclusive=True, image=image, source=source)
    names = names or tuple(f"{prefix}{i}" for i in range(values.shape[1]))
    if prefix or not config.attributes:
        return Domains(names, values > 0, exclusive=False, image=image, source=source)
    for name in config.attributes:
        if name not in names:
            raise UsageError(f"{data.spec.name} has no attribute {name!r}. {nearest(name, names)}")
    columns = [names.index(name) for name in config.attributes]
    return Domains(config.attributes, values[:, columns] > 0, exclusive=False, image=image, source=source, columns=columns)


def _names(data: Dataset, source: str) -> tuple[str, ...]:
    """What the classes or attributes of a field are called; empty where nothing says it."""
    if source.startswith("other_"):
        return data.spec.other_names
    return data.spec.class_names if source == "label" else data.spec.attribute_names


def _column(data: Dataset, field: str) -> Tensor:
    """One field of every record, without the images where the data can give it alone."""
    column = getattr(data, "column", None)
    if column is None:
        return torch.cat([data.records(rows)[field] for rows in torch.split(torch.arange(len(data)), 500)])
    rows: Tensor = column(field)[torch.arange(len(data))]
    return rows
