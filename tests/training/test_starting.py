"""A run before its first round: a recipe chosen by the data, a look at what is needed, pieces of a batch, weights that are there already."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from saddlepoint import api
from saddlepoint.cli.main import main
from saddlepoint.errors import CheckpointError, MemoryLimitError, UsageError
from saddlepoint.games.game import Phase
from saddlepoint.games.player import Adam
from saddlepoint.training import memory
from saddlepoint.training.memory import Need, choose_pieces, measure_need
from saddlepoint.verbs.fitting import usual_side
from saddlepoint.verbs.starting import start_from
from saddlepoint.views.ada import ADA
from saddlepoint.zoo.catalogue import find_recipe
from tests.training.test_promises import images, make_game
from tests.training.test_session import SHORT, TINY, weights

CPU = torch.device("cpu")


# -- chosen for the user -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("data", "words"), [("ring8", "points of 2 numbers"), ("digits", "1797 images"), ("fashion", "10000 images")])
def test_a_recipe_is_chosen_and_explained_in_two_lines(data: str, words: str) -> None:
    choice = api.choose_recipe(data)
    assert words in choice.reasons[0]
    assert f"{choice.recipe}, preset {choice.preset}" in choice.reasons[0]
    assert len(choice.reasons) == 2
    assert choice.preset in next(entry for entry in api.list() if entry.name == choice.recipe).presets


@pytest.mark.parametrize(
    ("data", "device", "recipe", "settings"),
    [
        ("fashion", "cpu", "dcgan", {"resolution": 32, "conditional": True}),
        ("digits", "cpu", "diffaugment", {"resolution": 16, "conditional": True}),
        ("emoji", "cuda", "stylegan2-ada", {"batch": 32, "rounds": 781_250, "resolution": 64, "ema_halflife_kimg": 10.0}),
    ],
)
def test_number_size_labels_and_machine_choose(data: str, device: str, recipe: str, settings: dict[str, Any]) -> None:
    choice = api.choose_recipe(data, device)
    assert (choice.recipe, choice.preset) == (recipe, "auto" if device == "cuda" else "small")
    assert {name: choice.settings[name] for name in settings} == settings
    game = api.foresee(data=data, device="cpu", batch=4, latent_dim=4) if device == "cpu" else None
    assert game is None or (game["recipe"], game["data"]["shape"][-2:]) == (recipe, [settings["resolution"]] * 2)


def test_a_folder_of_large_images_without_classes(tmp_path: Path) -> None:
    for number in range(3):
        Image.new("RGB", (90, 70 + number), (number * 80, 10, 10)).save(tmp_path / f"{number}.png")
    assert usual_side({(90, 70): 1, (90, 71): 1, (90, 72): 1}) == 71
    choice = api.choose_recipe(str(tmp_path))
    assert choice.settings == {"resolution": 32}
    assert "3 images of about 71 pixels" in choice.reasons[0]
    assert "A larger --resolution, 64, takes about four times as long." in choice.reasons[1]
    assert api.choose_recipe(str(tmp_path), "cuda").settings["resolution"] == 64
    assert api.choose_recipe(str(tmp_path), "cuda", 128).settings["batch"] == 32


@pytest.mark.parametrize(("data", "recipe"), [("emoji-lines", "pix2pix"), ("captions:emoji", "gan-cls")])
def test_records_of_two_parts_name_their_recipe(data: str, recipe: str) -> None:
    assert api.choose_recipe(data).recipe == recipe


def test_training_without_a_recipe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--data", "ring8", "--out", str(tmp_path / "run"), "--steps", "3", "--width", "8", "--batch", "8"]) == 0
    said = capsys.readouterr()
    assert said.err.startswith("No recipe was named. ring8 holds ")
    assert said.out.strip() == str(tmp_path / "run")
    told: list[dict[str, Any]] = []
    run = api.train(data="ring8", out=tmp_path / "other", steps=3, width=8, batch=8, show=told.append)
    assert [record["kind"] for record in told[:2]] == ["note", "note"]
    assert run.about["recipe"] == api.info(tmp_path / "run")["recipe"]


# -- a look before the start -------------------------------------------------------------------------------------------------------------


def test_a_dry_run_says_what_is_needed_and_makes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    needs = api.foresee("nsgan", data="ring8", width=8, batch=8, latent_dim=4, steps=7, device="cpu")
    assert needs["rounds"] == 7
    assert needs["parameters"]["generator"] == 4 * 8 + 8 + 2 * (8 * 8 + 8) + 8 * 2 + 2
    assert needs["micro_batches"] == 1
    assert 0 < needs["memory_bytes"] < needs["free_bytes"]
    assert main(["train", "nsgan", "--data", "ring8", "--width", "8", "--dry-run", "--device", "cpu"]) == 0
    said = capsys.readouterr().out
    assert "\nmemory        0.00 GiB" in said
    assert "\nparameters    discriminator " in said
    assert not [*tmp_path.iterdir()]


def test_the_largest_phase_counts() -> None:
    game = make_game(dtype=torch.float32)
    plain = measure_need(game, images(), 16)
    game.phases = (Phase("wide", 3, batch=64), Phase("narrow", 3))
    assert [batch for batch, _ in measure_need(game, images(), 16).phases] == [64, 16]
    assert measure_need(game, images(), 16).bytes(1) > plain.bytes(1)


def test_pieces_are_chosen_so_that_they_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    need = Need(fixed=100, phases=((64, 10), (32, 30)))
    assert [need.bytes(pieces) for pieces in (1, 2, 64)] == [1060, 580, 130]
    for free, processes, pieces in ((2200, 1, 1), (1200, 1, 2), (560, 1, 8), (560, 2, 4), (10, 1, 1)):
        monkeypatch.setattr(memory, "free_bytes", lambda device, free=free: free)
        assert choose_pieces(need, processes=processes, device=CPU) == pieces


def test_what_is_made_for_the_whole_batch_does_not_shrink_with_its_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    need = Need(fixed=100, phases=((64, 10),), whole=5)
    assert [need.bytes(pieces) for pieces in (1, 2, 64)] == [1060, 740, 430]
    monkeypatch.setattr(memory, "free_bytes", lambda device: 600)
    with pytest.raises(MemoryLimitError, match=r"Use --batch 25, or --micro-batches 16 for the same result"):
        memory.check_memory(need, pieces=1, device=CPU)
    monkeypatch.setattr(memory, "free_bytes", lambda device: 420)
    with pytest.raises(MemoryLimitError, match=r"Use --batch 15\."):
        memory.check_memory(need, pieces=1, device=CPU)
    noisy = measure_need(find_recipe("stylegan2").game(find_recipe("stylegan2").preset("small"), images(c=3)), images(c=3), 4)
    assert noisy.whole >= 2 * 4 * 3 * 16 * 16 + 4 * 3 * 16 * 16 // 2  # the records twice, and path length's noise for half of the images


def test_a_batch_in_pieces_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = api.foresee("nsgan", data="ring8", width=8, batch=4096, latent_dim=4, device="cpu")["memory_bytes"]
    for module in ("saddlepoint.training.memory", "saddlepoint.verbs.preparing"):
        monkeypatch.setattr(f"{module}.free_bytes", lambda device: whole)
    needs = api.foresee("nsgan", data="ring8", width=8, batch=4096, latent_dim=4, device="cpu")
    assert needs["micro_batches"] == 4
    assert "it is computed in 4 pieces" in needs["notes"][-1]
    with pytest.raises(MemoryLimitError, match=r"A batch of 16384 needs about"):
        api.train("nsgan", data="ring8", width=8, batch=16384, latent_dim=4, device="cpu", micro_batches=1, out=tmp_path / "run")


# -- weights that are there already ------------------------------------------------------------------------------------------------------


def test_a_run_starts_from_another(tmp_path: Path) -> None:
    first = api.train(**TINY, out=tmp_path / "first", plan=SHORT).folder
    told: list[dict[str, Any]] = []
    still = {"generator_optimizer": Adam(lr=0.0), "discriminator_optimizer": Adam(lr=0.0)}
    second = api.train(**TINY, **still, out=tmp_path / "second", init_from=first, plan=SHORT, show=told.append).folder
    total = len(api.load(first)[0].state_dict())
    assert told[0]["message"] == f"{total} of {total} tensors came from {first}:6."
    assert api.info(second)["init_from"]["loaded"] == total
    for name, value in api.load(first)[0].named_parameters():
        if "_ema" not in name:
            assert torch.equal(api.load(second)[0].get_parameter(name), value)


def test_what_does_not_fit_is_named(tmp_path: Path) -> None:
    first = api.train(**TINY, out=tmp_path / "first", plan=SHORT).folder
    game = api.load(api.train(**TINY | {"latent_dim": 5}, out=tmp_path / "wide", plan=SHORT).folder)[0]
    before = {name: value.clone() for name, value in game.state_dict().items()}
    report = start_from(game, f"{first}:last")
    assert report.reshaped == ["generator.hidden.0.weight", "generator_ema.hidden.0.weight"]
    assert all(torch.equal(before[name], game.state_dict()[name]) for name in report.reshaped)
    assert f"{len(report.reshaped)} have another shape ({report.reshaped[0]}" in report.sentence()
    source = api.load(first)[0].state_dict()
    assert all(torch.equal(source[name], game.state_dict()[name]) for name in report.loaded)


def test_a_file_of_a_generator_alone(tmp_path: Path) -> None:
    game = make_game(dtype=torch.float32)
    given = {name: torch.randn_like(value) for name, value in game.generator.state_dict().items()}
    save_file(given | {"other.weight": torch.zeros(2)}, tmp_path / "g.safetensors")
    report = start_from(game, tmp_path / "g.safetensors")
    for name, value in given.items():
        assert torch.equal(game.state_dict()[f"generator.{name}"], value)
        assert torch.equal(game.state_dict()[f"generator_ema.{name}"], value)
    assert report.unused == ["other.weight"]
    assert all(name.startswith("discriminator.") for name in report.missing)


def test_killed_before_its_first_checkpoint_it_starts_from_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = api.train(**TINY, out=tmp_path / "first", plan=SHORT).folder
    whole = api.train(**TINY, out=tmp_path / "whole", init_from=first, plan=SHORT).folder
    with monkeypatch.context() as patch:
        patch.setattr("saddlepoint.training.trainer.Trainer.play_round", lambda trainer: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            api.train(**TINY, out=tmp_path / "again", init_from=first, plan=SHORT)
    api.resume(first, steps=9, device="cpu")  # the source goes on; its round 6 is kept
    api.resume(tmp_path / "again", device="cpu")
    assert weights(tmp_path / "again") == weights(whole)


def test_sources_that_cannot_be(tmp_path: Path) -> None:
    first = api.train(**TINY, out=tmp_path / "first", plan=SHORT).folder
    (tmp_path / "torn.safetensors").write_bytes(b"torn")
    save_file({"strange": torch.zeros(1)}, tmp_path / "strange.safetensors")
    for source, error, words in (
        (tmp_path / "none", UsageError, "--init-from takes a run folder, a model folder"),
        (tmp_path / "torn.safetensors", CheckpointError, r"torn\.safetensors is damaged"),
        (tmp_path / "strange.safetensors", CheckpointError, "holds no network that is known here"),
        (f"{first}:77", CheckpointError, "has no checkpoint '77'"),
    ):
        with pytest.raises(error, match=words) as found:
            start_from(make_game(), source)
        assert "\n" not in str(found.value)
    with pytest.raises(CheckpointError, match="no longer what this run started from"):
        start_from(api.load(first)[0], first, expected="0" * 64)
    assert json.loads((first / "run.json").read_text())["init_from"] is None


# -- what is done to pictures, and said of it --------------------------------------------------------------------------------------------


def test_images_of_one_shape_keep_it(tmp_path: Path) -> None:
    array = tmp_path / "wide.npy"
    np.save(array, np.zeros((30, 24, 40, 2), np.uint8))
    for name in (str(array), f"{array}:train"):
        choice = api.choose_recipe(name)
        assert choice.settings == {"resolution": (24, 40)}
        assert "at 24x40 pixels" in choice.reasons[0]
    assert main(["train", "--data", str(array), "--dry-run"]) == 0
    assert api.foresee(data=str(array), device="cpu")["data"]["shape"] == [2, 24, 40]


def test_small_images_stay_as_they_are_in_either_part(tmp_path: Path) -> None:
    np.save(tmp_path / "small.npy", np.zeros((30, 24, 24, 3), np.uint8))
    assert api.choose_recipe(f"{tmp_path / 'small.npy'}:train").settings == {"resolution": 24}
    needs = api.foresee("dcgan", data=str(tmp_path / "small.npy"), device="cpu", width=4, resolution=(32, 64))
    lost = "30 of the 30 images lose more than a tenth of their area, as their middle is cut to 32x64."
    assert f"{lost} --resolution 32 32 (height and width) keeps more." in needs["notes"]
    assert "30 of the 30 images are smaller than 32x64 and are enlarged." in needs["notes"]


def test_packed_data_are_trained_on_at_their_size(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.random.default_rng(0).integers(0, 256, (30, 40, 48, 3), dtype=np.uint8))
    packed = api.convert_data(str(tmp_path / "a.npy"), tmp_path / "packed", resolution=(40, 48))
    assert api.foresee(data=str(packed), device="cpu")["data"]["shape"] == [3, 40, 48]


def test_large_images_have_channels_left() -> None:
    assert api.choose_recipe("emoji", "cpu", 64).settings == {"resolution": 64, "conditional": True}
    assert api.choose_recipe("emoji", "cpu", 256).settings["channel_base"] == 8 * 256


def test_a_preset_without_a_recipe_is_told_as_asked() -> None:
    wanted = api.foresee(data="digits", device="cpu", preset="paper", batch=4)
    assert wanted["notes"][1] == "No recipe was named: diffaugment is chosen by the data, with the preset paper as asked, in place of small."
    assert not any("preset small" in note for note in wanted["notes"])


def test_minutes_hold_the_whole_schedule(tmp_path: Path) -> None:
    small: dict[str, Any] = {"data": "digits", "device": "cpu", "resolution": 8, "channel_base": 32, "latent_dim": 8, "batch": 8}
    wanted = api.foresee("progan", minutes=2, **small)
    assert any(f"2 minutes hold about {wanted['rounds']:,} of its rounds" in note for note in wanted["notes"])
    run = api.train("progan", minutes=0.05, out=tmp_path / "run", **small)
    about, last = json.loads((run.folder / "run.json").read_text()), run.checkpoints()[-1][0]
    assert about["budget"] == {"steps": about["horizon"], "minutes": 0.05, "kimg": None}
    assert 0.3 * about["horizon"] < last <= about["horizon"] < find_recipe("progan").preset("small").rounds


def test_minutes_rehearse_nothing_where_no_schedule_asks() -> None:
    tiny: dict[str, Any] = {"data": "digits", "device": "cpu", "resolution": 8, "width": 4, "batch": 8}
    wanted = api.foresee("dcgan", minutes=2, **tiny)
    assert wanted["rounds"] == find_recipe("dcgan").preset("small").rounds
    assert not any("minutes hold" in note for note in wanted["notes"])


def test_pyramids_need_even_sides() -> None:
    with pytest.raises(UsageError, match="a side of 33x32 is odd. Choose --resolution 34 32"):
        api.foresee("lapgan", data="digits", device="cpu", resolution=(33, 32))


@pytest.mark.parametrize("recipe", ["progan", "stylegan", "stylegan2"])
def test_few_channels_at_full_size_are_said(recipe: str) -> None:
    config = find_recipe(recipe).preset("small")
    notes = [find_recipe(recipe).game(config, images(c=3, size=size)).notes for size in (32, 256)]
    assert not any("finest level" in note for note in notes[0])
    assert any("G's finest level has 2 channels: --channel-base" in note for note in notes[1])


def test_classes_are_told_where_each_has_images(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (60, 16, 16, 3), dtype=np.uint8)
    for name, labels in (("even", np.arange(60) % 3), ("uneven", np.arange(60) // 50), ("from-one", 1 + np.arange(60) % 3)):
        np.savez(tmp_path / f"{name}.npz", images=pixels, labels=labels)
    choices = {name: api.choose_recipe(str(tmp_path / f"{name}.npz")) for name in ("even", "uneven", "from-one")}
    assert choices["even"].settings.get("conditional") is True
    assert "conditional" not in choices["uneven"].settings
    assert (
        "It is not told the 2 classes: the smallest has 10 of the 20 images that are needed (--conditional: it is)." in choices["uneven"].reasons[1]
    )
    assert "the smallest has 0 of the 20 images" in choices["from-one"].reasons[1]
    needs = {
        told: api.foresee("dcgan", data=str(tmp_path / "from-one.npz"), device="cpu", width=4, conditional=told)["notes"] for told in (True, False)
    }
    said = "Of 1 of the 4 classes there is no image (0): what is drawn of them means nothing. Number labels from 0 on."
    assert said in needs[True]
    assert said not in needs[False]


def test_one_of_two_settings_of_an_average_is_named() -> None:
    with pytest.raises(UsageError, match=r"not both; they are 0\.995 and 5\.0.* to be None: --ema-decay None"):
        api.foresee("progan", data="digits", device="cpu", ema_halflife_kimg=5.0)


@pytest.mark.parametrize(
    ("recipe", "settings", "words"),
    [
        ("dcgan", {"width": 0}, "width must be at least 1; it is 0."),
        ("stylegan2", {"channel_base": 0}, "channel_base must be at least 1; it is 0."),
        ("r3gan", {"full_stages": 0}, "full_stages must be at least 1; it is 0."),
        ("dcgan", {"generator_optimizer": Adam(lr=-1.0)}, "generator_optimizer needs a learning rate from 0 on; lr is -1.0."),
        ("dcgan", {"discriminator_optimizer": Adam(beta1=1.0)}, "discriminator_optimizer needs beta1 and beta2 from 0 to below 1; they are 1.0"),
        ("dcgan", {"ema_halflife_kimg": -1.0}, "ema_halflife_kimg is in thousands of images, from 0 on; it is -1.0."),
        ("stylegan2", {"style_mixing": 2.0}, "style_mixing is a probability; it is 2.0."),
        ("stylegan", {"style_mixing": -0.1}, "style_mixing is a probability; it is -0.1."),
        ("r3gan", {"final_p": 2.0}, "final_p is a probability; it is 2.0."),
        ("dcgan", {"kimg": float("inf")}, "kimg must be more than 0, and finite; it is inf."),
    ],
)
def test_a_setting_that_no_network_has_is_refused(recipe: str, settings: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError) as refused:
        api.foresee(recipe, data="digits", device="cpu", **settings)
    assert words in str(refused.value)


def test_a_target_that_no_mean_sign_reaches_is_refused() -> None:
    with pytest.raises(UsageError, match="ADA's target is of a mean sign, from -1 to 1; it is 3"):
        ADA(target=3.0)


def test_the_guess_for_another_size_is_said() -> None:
    plain, told = (
        api.foresee("stylegan2-ada", preset="auto", data="emoji", device="cpu", width=8, resolution=64, **more)["notes"]
        for more in ({}, {"batch": 32})
    )
    assert "The preset auto is a guess for 256 pixels; for 64 it would be --batch 32 --ema-halflife-kimg 10.0." in plain
    assert not any("guess" in note for note in told)
