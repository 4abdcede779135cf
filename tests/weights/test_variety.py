"""Checkpoints that differ in what no tensor tells, or in what they hold, are read as their code would, or refused by name."""

from __future__ import annotations

import argparse
import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from saddlepoint.errors import CheckpointError
from saddlepoint.games.game import Game
from saddlepoint.weights.biggan import read as read_biggan
from saddlepoint.weights.files import read_file
from saddlepoint.weights.importing import fill
from saddlepoint.weights.names import Thing
from saddlepoint.weights.progan import read as read_progan
from saddlepoint.weights.r3gan import read as read_r3gan
from saddlepoint.weights.stylegan2 import WHOLE, read_nvidia, read_rosinality

FILES = Path(__file__).with_name("files")
NAMES = {"nvidia": "nvidia.pkl", "rosinality": "rosinality.pt", "biggan": "biggan.pth", "progan": "progan.pt", "r3gan": "r3gan.pkl"}
READERS = {"nvidia": read_nvidia, "rosinality": read_rosinality, "biggan": read_biggan, "progan": read_progan, "r3gan": read_r3gan}


def content_of(family: str) -> Any:
    return copy.deepcopy(read_file(FILES / NAMES[family]))


def game_of(family: str, content: Any) -> tuple[Game, list[str]]:
    found = READERS[family](content, "x")
    assert found is not None
    return fill(found, FILES / NAMES[family])


def images(family: str, game: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Ours and theirs."""
    with np.load(FILES / f"{family}.npz") as arrays, torch.no_grad():
        given = {name: torch.from_numpy(arrays[name]) for name in arrays.files}
        game.eval().generator_ema.noise_mode = "fixed"
        labels = [given["labels"]] if "labels" in given else []
        return game.generator_ema(given["z"], *labels), given["images"]


# -- NVIDIA ------------------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"mapping_kwargs": {"lr_multiplier": 1.0}}, "lr_multiplier 1.0; only networks with 0.01"),
        ({"mapping_kwargs": {"activation": "relu"}}, "activation relu; only networks with lrelu"),
        ({"synthesis_kwargs": {"resample_filter": [1]}}, r"resample_filter \(1\); only networks with \[1, 3, 3, 1\]"),
        ({"conv_clamp": 1.0}, "conv_clamp 1.0; only networks with None or 256"),
    ],
)
@pytest.mark.parametrize("network", ["G_ema", "D"])
def test_settings_that_no_tensor_tells(settings: dict, said: str, network: str) -> None:
    content = content_of("nvidia")
    content[network].state["_init_kwargs"] |= settings
    with pytest.raises(CheckpointError, match=said):
        read_nvidia(content, "x")


def test_ordinary_settings_are_taken() -> None:
    content = content_of("nvidia")
    content["G_ema"].state["_init_kwargs"] |= {"conv_clamp": 256, "num_fp16_res": 4, "fused_modconv_default": "inference_only"}
    ours, theirs = images("nvidia", game_of("nvidia", content)[0])
    assert (ours - theirs).abs().max() < 1e-4


def test_every_filter_is_looked_at() -> None:
    content = content_of("nvidia")
    content["D"].state["_modules"]["b8"].state["_modules"]["conv1"].state["_buffers"]["resample_filter"] = torch.ones(1, 1)
    with pytest.raises(CheckpointError, match=r"another filter than \[1, 3, 3, 1\]"):
        read_nvidia(content, "x")
    content = content_of("r3gan")
    network = content["G_ema"].state["_modules"]["Model"].state["_modules"]["MainLayers"].state["_modules"]["1"]
    resampler = network.state["_modules"]["Layers"].state["_modules"]["0"].state["_modules"]["Resampler"]
    resampler.state["_buffers"]["Kernel"] = torch.ones(4, 4)
    with pytest.raises(CheckpointError, match=r"another filter than \[1, 3, 3, 1\]"):
        read_r3gan(content, "x")


def test_the_group_of_the_minibatch() -> None:
    for group, expected in ((2, 2), (None, WHOLE), (-3, 4), ("x", 4)):
        content = content_of("nvidia")
        content["D"].state["_init_kwargs"]["epilogue_kwargs"] = {"mbstd_group_size": group}
        assert read_nvidia(content, "x").config.stddev_group == expected
    epilogue = content["D"].state["_modules"]["b4"].state["_modules"]["conv"].state["_parameters"]
    epilogue["weight"] = epilogue["weight"][:, :-1]
    found = game_of("nvidia", content)[0]
    assert found.config.stddev_group is None
    assert read_rosinality(content_of("rosinality"), "x").config.stddev_group == 4  # its code compares four samples


def test_a_mean_code_that_is_missing_is_measured() -> None:
    content = content_of("nvidia")
    for name in ("G", "G_ema"):
        del content[name].state["_modules"]["mapping"].state["_buffers"]["w_avg"]
    game, notes = game_of("nvidia", content)
    assert notes == ["The file holds no mean code; it was measured on 10000 latents."]
    ours, theirs = images("nvidia", game)
    assert (ours - theirs).abs().max() < 1e-4
    mapping = game.get_submodule("generator_ema.mapping")
    codes = mapping(torch.randn(2000, 8, generator=torch.Generator().manual_seed(1)), torch.arange(2000) % 3)
    assert (mapping.mean - codes.mean(0)).abs().max() < 0.1 * codes.std()


@pytest.mark.parametrize("family", ["nvidia", "r3gan"])
def test_a_generator_alone(family: str) -> None:
    game, notes = game_of(family, content_of(family)["G_ema"])
    assert notes == ["The file holds no discriminator; it starts anew."]
    ours, theirs = images(family, game)
    assert (ours - theirs).abs().max() < 1e-4


# -- the others --------------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kept", ["g", "state", "module"])
def test_rosinality_without_an_average(kept: str) -> None:
    state = content_of("rosinality")["g_ema"]
    prefixed = {f"module.{name}": value for name, value in state.items()}
    game, notes = game_of("rosinality", {"g": {"g": state}, "state": state, "module": prefixed}[kept])
    assert notes[0] == "The file holds no mean code; it was measured on 10000 latents."
    ours, theirs = images("rosinality", game)
    assert (ours - theirs).abs().max() < 1e-4


def test_a_progan_at_the_start_of_a_fade_keeps_its_size() -> None:
    content = content_of("progan")
    for alpha, kind in ((1.0, Thing), (2, dict), (float(1), argparse.Namespace)):
        settings = {**content["config"].state, "alpha": alpha}
        game: Any = game_of("progan", content | {"config": Thing("x", state=settings) if kind is Thing else settings})[0]
        with torch.no_grad():
            made = game.generator_ema(torch.randn(2, 8))
        assert made.shape == (2, 3, 16, 16)
        assert (made - made[:, :, ::2, ::2].repeat_interleave(2, 2).repeat_interleave(2, 3)).abs().max() < 1e-4  # the level before, doubled


def test_norms_across_devices_are_told() -> None:
    state = {name.replace("stored_", "bn.running_"): value for name, value in content_of("biggan").items()}
    game, notes = game_of("biggan", state)
    assert "--cross_replica" in notes[1]
    ours, theirs = images("biggan", game)
    assert (ours - theirs).abs().max() < 1e-4


def test_sizes_that_cannot_be_built_are_named() -> None:
    content = content_of("progan")
    for name in ("netG", "netD", "avgG"):
        content[name] = {
            key: value for key, value in content[name].items() if "scaleLayers" not in key and "Layers.1" not in key and "Layers.2" not in key
        }
    with pytest.raises(CheckpointError, match=r"progan\.pt has sizes that cannot be built here\. ProGAN cannot make images of 4x4"):
        game_of("progan", content)
