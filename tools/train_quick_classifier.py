"""Train the quick classifier and write its weights and card: python tools/train_quick_classifier.py [--out FOLDER].

Deterministic: the same torch on the same kind of processor gives the same file, byte for byte. Takes less than eight CPU minutes.

Axes: n images, c channels, h w image, k classes.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import json
import logging
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from saddlepoint.data.sources import open_data
from saddlepoint.evaluation.classifier import CARD, WEIGHTS, QuickNet, prepare

SEED, THREADS = 0, 1  # one thread: sums are made in one order on any number of cores
STEPS, PEAK_RATE, WEIGHT_DECAY, EMA = 2800, 4e-3, 0.1, 0.995
BATCH = {"fashion": 96, "digits": 16, "emoji": 24}  # images of each set in a step
MIRRORED = ("fashion", "emoji")  # a mirrored digit is another sign
SHIFT, ZOOM = 2 / 16, 0.15  # at most 2 of 32 pixels; 15 %, as much as 28 pixels padded to 32 differ from 28 enlarged to 32
FILES = Path(__file__).parents[1] / "saddlepoint" / "evaluation" / "files"
log = logging.getLogger("train_quick_classifier")


@dataclass(frozen=True)
class LabelledImages:
    """One part of a set as the net sees it: images [n, 3, 32, 32] in [-1, 1], labels [n]."""

    images: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    content_hash: str


def read(name: str) -> LabelledImages:
    """Read a data set at its own resolution; the resizing is the extractor's own."""
    data = open_data(name)
    records = data.records(torch.arange(len(data)))
    return LabelledImages(prepare(records["image"]), records["label"], data.spec.class_names, data.spec.content_hash)


def augment(images: Tensor, rng: torch.Generator, mirror: bool) -> Tensor:
    """Shift, zoom and (where asked) mirror each image at random; the border is continued."""
    n = len(images)
    zoom = 1 + ZOOM * (2 * torch.rand(n, generator=rng) - 1)
    side = 1 - 2.0 * torch.randint(2, (n,), generator=rng) if mirror else torch.ones(n)
    maps = torch.zeros(n, 2, 3)
    maps[:, 0, 0], maps[:, 1, 1] = zoom * side, zoom
    maps[:, :, 2] = SHIFT * (2 * torch.rand(n, 2, generator=rng) - 1)
    grid = F.affine_grid(maps, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


def train(sets: dict[str, LabelledImages]) -> QuickNet:
    """AdamW with a one-cycle cosine rate and averaged weights; a step takes a batch of every set, its losses weighted by their shares."""
    torch.manual_seed(SEED)
    rng = torch.Generator().manual_seed(SEED)
    net = QuickNet({name: len(part.classes) for name, part in sets.items()}, norm=True).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(net.parameters(), lr=PEAK_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_RATE, total_steps=STEPS, pct_start=0.2)
    average = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(EMA), use_buffers=True)  # type: ignore[no-untyped-call]
    orders = {name: _order(len(part.labels), BATCH[name], rng) for name, part in sets.items()}
    for step in range(STEPS):
        chosen = {name: order[step] for name, order in orders.items()}
        images = torch.cat([augment(sets[name].images[at], rng, name in MIRRORED) for name, at in chosen.items()])
        features = net(images.contiguous(memory_format=torch.channels_last)).split(list(BATCH.values()))
        losses = [F.cross_entropy(net.logits(own, name), sets[name].labels[at]) for own, (name, at) in zip(features, chosen.items(), strict=True)]
        loss = sum((loss * n for loss, n in zip(losses, BATCH.values(), strict=True)), torch.zeros(())) / sum(BATCH.values())
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        average.update_parameters(net)
        if step % 100 == 99:
            log.info("step %d of %d: losses %s", step + 1, STEPS, " ".join(f"{name} {x.item():.3f}" for name, x in zip(chosen, losses, strict=True)))
    averaged = average.module.eval()
    assert isinstance(averaged, QuickNet)
    return averaged


def _order(num_records: int, batch: int, rng: torch.Generator) -> Tensor:
    """Indices [steps, batch]: shuffled epochs, one after the other."""
    epochs = math.ceil(STEPS * batch / num_records)
    return torch.cat([torch.randperm(num_records, generator=rng) for _ in range(epochs)])[: STEPS * batch].view(STEPS, batch)


@torch.no_grad()
def fold(net: QuickNet) -> QuickNet:
    """The same function without batch norm, weights rounded to float16 and held in float32."""
    plain = QuickNet({name: head.out_features for name, head in net.heads.items() if isinstance(head, nn.Linear)})
    plain.heads = copy.deepcopy(net.heads)
    for slot, conv, norm in zip(plain.convs, net.convs, net.norms, strict=True):
        assert isinstance(slot, nn.Conv2d) and isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
        fused = nn.utils.fusion.fuse_conv_bn_eval(conv, norm)
        slot.load_state_dict(fused.state_dict())
    last = net.embed_norm
    assert isinstance(last, nn.BatchNorm1d) and last.running_mean is not None and last.running_var is not None
    scale = (last.running_var + last.eps).rsqrt()
    plain.embed.weight.copy_(net.embed.weight * scale[:, None])
    plain.embed.bias.copy_(-last.running_mean * scale)
    for parameter in plain.parameters():
        parameter.copy_(parameter.half().float())
    return plain.eval()


@torch.no_grad()
def accuracy(net: QuickNet, part: LabelledImages, head: str) -> float:
    """Share of images whose most probable class is their label."""
    guesses = torch.cat([net.logits(net(images), head).argmax(1) for images in torch.split(part.images, 250)])
    return float((guesses == part.labels).double().mean())


def describe(net: QuickNet, sets: dict[str, LabelledImages], held_out: dict[str, LabelledImages], digest: str) -> dict[str, Any]:
    """Make the card: for each head its classes, counts, data hashes and accuracies."""
    heads = {
        name: {
            "classes": list(part.classes),
            "train_images": len(part.labels),
            "held_out_images": len(held_out[name].labels),
            "train_accuracy": round(accuracy(net, part, name), 4),
            "held_out_accuracy": round(accuracy(net, held_out[name], name), 4),
            "train_hash": part.content_hash,
            "held_out_hash": held_out[name].content_hash,
        }
        for name, part in sets.items()
    }
    training = {"seed": SEED, "steps": STEPS, "batch": BATCH, "peak_rate": PEAK_RATE, "weight_decay": WEIGHT_DECAY, "ema": EMA}
    training |= {"shift": SHIFT, "zoom": ZOOM, "mirrored": list(MIRRORED), "threads": THREADS, "torch": torch.__version__.split("+")[0]}
    parameters = sum(parameter.numel() for parameter in net.parameters())
    return {"weights_sha256": digest, "parameters": parameters, "storage": "float16", "heads": heads, "training": training}


def main() -> None:
    """Read, train, fold, measure, write."""
    parser = argparse.ArgumentParser(description="Train the quick classifier on the shipped data and write its weights and card.")
    parser.add_argument("--out", type=Path, default=FILES, help="folder to write to")
    out: Path = parser.parse_args().out
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(THREADS)
    torch.use_deterministic_algorithms(True)
    sets, held_out = ({name: read(f"{name}:{part}") for name in BATCH} for part in ("train", "test"))
    net = fold(train(sets))
    weights = save({key: tensor.half().contiguous() for key, tensor in net.state_dict().items()})
    card = describe(net, sets, held_out, hashlib.sha256(weights).hexdigest())
    out.mkdir(parents=True, exist_ok=True)
    (out / WEIGHTS).write_bytes(weights)
    (out / CARD).write_text(json.dumps(card, indent=2) + "\n")
    for name, entry in card["heads"].items():
        log.info("%s: %.1f %% of %d held-out images right", name, 100 * entry["held_out_accuracy"], entry["held_out_images"])


if __name__ == "__main__":
    main()
