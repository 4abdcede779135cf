"""Small checkpoints of random weights, written by the public codes themselves, and what those codes make of given latents.

    python tools/foreign_weights.py FAMILY --public DIR      # writes tests/weights/files/FAMILY.{pkl,pt,pth} and FAMILY.npz
    python tools/foreign_weights.py compare                  # imports those files; the largest difference of images and logits

FAMILY                 DIR: a copy of
nvidia                 github.com/NVlabs/stylegan2-ada-pytorch
rosinality             github.com/rosinality/stylegan2-pytorch
biggan, biggan-deep    github.com/ajbrock/BigGAN-PyTorch
progan                 github.com/facebookresearch/pytorch_GAN_zoo
r3gan                  github.com/brownvc/R3GAN

The tests compare imported networks with these numbers, so they need none of that code. The source that NVIDIA's pickles carry is replaced by a line
that would end the process, were it ever run.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import pickle
import sys
import tempfile
import types
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

OUT = Path(__file__).parents[1] / "tests" / "weights" / "files"
SIDE, CLASSES, LATENTS = 16, 3, 8


def stir(network: nn.Module) -> nn.Module:
    """Weights that nothing is left out of: what starts at 0 or 1 is moved."""
    for name, value in network.named_parameters():
        if "gamma" in name or "noise" in name or "LinearLayer3" in name:
            value.data.add_(0.3 * torch.randn_like(value))
        elif "bias" in name.lower() or "gain" in name:
            value.data.add_(0.2 * torch.randn_like(value))
    return network.eval().requires_grad_(False)


def write(family: str, ending: str, content: Any, arrays: dict[str, Tensor]) -> None:
    """The checkpoint and the numbers."""
    OUT.mkdir(exist_ok=True)
    file = OUT / f"{family}.{ending}"
    if ending == "pkl":
        file.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, file, _use_new_zipfile_serialization=family != "progan")  # the older form once
    np.savez_compressed(OUT / f"{family}.npz", **{name: value.numpy() for name, value in arrays.items()})
    sys.stdout.write(f"{file}: {file.stat().st_size} bytes\n")


def nvidia() -> None:
    """Conditional, with residual D."""
    networks, persistence = importlib.import_module("training.networks"), importlib.import_module("torch_utils.persistence")
    for kind in persistence._decorators:
        kind._orig_module_src = "raise SystemExit('the source in the pickle was run')"
    shared: Any = {"c_dim": CLASSES, "img_resolution": SIDE, "img_channels": 3}
    sizes = {"channel_base": 128, "channel_max": 12}
    made = [networks.Generator(z_dim=LATENTS, w_dim=6, mapping_kwargs={"num_layers": 2}, synthesis_kwargs=sizes, **shared) for _ in range(2)]
    critic = stir(networks.Discriminator(epilogue_kwargs={"mbstd_group_size": 2}, **sizes, **shared))
    generator, average = (stir(network) for network in made)
    z, labels = torch.randn(4, LATENTS), torch.arange(4) % CLASSES
    told = torch.eye(CLASSES)[labels]
    average.mapping.w_avg.copy_(average.mapping(torch.randn(100, LATENTS), told[0].expand(100, -1))[:, 0].mean(0))
    x = torch.randn(4, 3, SIDE, SIDE)
    arrays = {"z": z, "labels": labels, "x": x, "logits": critic(x, told)[:, 0], "images": average(z, told, noise_mode="const")}
    arrays |= {"truncated": average(z, told, truncation_psi=0.5, noise_mode="const"), "generator": generator(z, told, noise_mode="const")}
    write("nvidia", "pkl", {"training_set_kwargs": {}, "G": generator, "D": critic, "G_ema": average, "augment_pipe": None}, arrays)


def rosinality(public: Path) -> None:
    """Its table of channels made smaller."""
    importlib.import_module("torch.utils.cpp_extension").load = lambda *_, **__: None  # its CUDA operators are not needed
    model = types.ModuleType("model")
    sys.modules["model"] = model
    source = (public / "model.py").read_text()
    for level in (4, 8, 16, 32):
        source = source.replace(f"            {level}: 512,", f"            {level}: 12,")
    exec(compile(source, "model.py", "exec"), model.__dict__)
    generator, average = (stir(model.Generator(SIDE, LATENTS, 2)) for _ in range(2))
    critic, z, x = stir(model.Discriminator(SIDE)), torch.randn(4, LATENTS), torch.randn(4, 3, SIDE, SIDE)
    mean = average.mean_latent(1000)
    arrays = {"z": z, "x": x, "logits": critic(x)[:, 0], "images": average([z], randomize_noise=False)[0]}
    arrays["truncated"] = average([z], truncation=0.5, truncation_latent=mean, randomize_noise=False)[0]
    arrays["generator"] = generator([z], randomize_noise=False)[0]
    content = {"g": generator.state_dict(), "d": critic.state_dict(), "g_ema": average.state_dict(), "latent_avg": mean}
    write("rosinality", "pt", content | {"args": argparse.Namespace(size=SIDE, iter=1), "ada_aug_p": 0.0}, arrays)


def biggan(family: str = "biggan", module: str = "BigGAN") -> None:
    """Shared embedding, z in pieces (of the deep one whole), attention."""
    with contextlib.redirect_stdout(io.StringIO()):
        code = importlib.import_module(module)
        generator = code.Generator(G_ch=2, dim_z=LATENTS, resolution=32, n_classes=CLASSES, G_attn="16", G_shared=True, shared_dim=5, hier=True)
    for _ in range(3):  # running statistics
        generator(torch.randn(8, LATENTS), generator.shared(torch.arange(8) % CLASSES))
    stir(generator)
    z, labels = torch.randn(4, LATENTS), torch.arange(4) % CLASSES
    write(family, "pth", generator.state_dict(), {"z": z, "labels": labels, "images": generator(z, generator.shared(labels))})


def progan(public: Path) -> None:
    """In the middle of fading its last level in."""
    models = types.ModuleType("models")
    models.__path__ = [str(public / "models")]
    sys.modules["models"] = models
    code, settings = importlib.import_module("models.networks.progressive_conv_net"), importlib.import_module("models.utils.config")
    generator, critic = code.GNet(LATENTS, 12), code.DNet(12, miniBatchNormalization=True)
    for channels in (12, 6):
        generator.addScale(channels)
        critic.addScale(channels)
    for network in (generator, critic):
        network.setNewAlpha(0.3)
        stir(network)
    config = settings.BaseConfig()
    config.__dict__.update(alpha=0.3, leakyReluLeak=0.2, equalizedlR=True, perChannelNormalization=True, categoryVectorDim=0, miniBatchStdDev=True)
    config.__dict__.update(lossCriterion="WGANGP", depthScale0=12, depthOtherScales=[12, 6])
    z, x = torch.randn(4, LATENTS), torch.randn(1, 3, SIDE, SIDE)  # one sample: the two codes compare samples in different groups
    state = {"config": config, "netG": generator.state_dict(), "netD": critic.state_dict(), "avgG": generator.state_dict()}
    write("progan", "pt", state, {"z": z, "x": x, "images": generator(z), "logits": critic(x)[:, 0]})


def r3gan() -> None:
    """Conditional, three stages, in full precision."""
    networks = importlib.import_module("training.networks")
    shared: Any = {"c_dim": CLASSES, "img_resolution": SIDE, "ExpansionFactor": 2, "FP16Stages": [], "BlocksPerStage": [2, 2, 2]}
    made = [
        networks.Generator(
            NoiseDimension=LATENTS, WidthPerStage=[8, 8, 4], CardinalityPerStage=[4, 4, 2], ConditionEmbeddingDimension=LATENTS, **shared
        )
        for _ in range(2)
    ]
    generator, average = (stir(network) for network in made)
    critic = networks.Discriminator(WidthPerStage=[4, 8, 8], CardinalityPerStage=[2, 4, 4], ConditionEmbeddingDimension=8, **shared)
    stir(critic)
    z, labels, x = torch.randn(4, LATENTS), torch.arange(4) % CLASSES, torch.randn(4, 3, SIDE, SIDE)
    told = torch.eye(CLASSES)[labels]
    arrays = {"z": z, "labels": labels, "x": x, "images": average(z, told), "generator": generator(z, told), "logits": critic(x, told)}
    write("r3gan", "pkl", {"G": generator, "D": critic, "G_ema": average, "training_set_kwargs": {}, "cur_nimg": 1000}, arrays)


@torch.no_grad()
def compare() -> None:
    """A line for each family."""
    from saddlepoint import api

    for file in sorted(OUT.glob("*.p[kt]*")):
        with tempfile.TemporaryDirectory() as place, np.load(file.with_suffix(".npz")) as arrays:
            game: Any = api.load(api.import_weights(file, Path(place) / "run").folder)[0]
            given = {name: torch.from_numpy(arrays[name]) for name in arrays.files}
            labels = [given["labels"]] if "labels" in given else []
            game.generator_ema.noise_mode = "fixed"
            images = game.generator_ema(given["z"], *labels)
            found = [f"images {(images - given['images']).abs().max():.1e} of deviation {given['images'].std():.2f}"]
            if "logits" in given:
                found.append(f"logits {(game.discriminator(given['x'], *labels).logits - given['logits']).abs().max():.1e}")
            sys.stdout.write(f"{file.name}: {', '.join(found)}\n")


def main() -> None:
    """Write one family's files, or compare all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("family", choices=["nvidia", "rosinality", "biggan", "biggan-deep", "progan", "r3gan", "compare"])
    parser.add_argument("--public", type=Path)
    given = parser.parse_args()
    if given.family == "compare":
        return compare()
    if given.public is None:
        parser.error("--public DIR is missing")
    sys.path.insert(0, str(given.public))
    with contextlib.suppress(ImportError):
        importlib.import_module("pkg_resources")  # R3GAN's code asks it for a version; new setuptools do not bring it
    sys.modules.setdefault("pkg_resources", types.ModuleType("pkg_resources")).__dict__.setdefault("parse_version", torch.torch_version.TorchVersion)
    torch.manual_seed(0)
    with torch.no_grad():
        work: Any = {"nvidia": nvidia, "biggan": biggan, "biggan-deep": partial(biggan, "biggan-deep", "BigGANdeep"), "r3gan": r3gan}.get(
            given.family
        )
        work() if work else {"rosinality": rosinality, "progan": progan}[given.family](given.public)
    return None


if __name__ == "__main__":
    main()
