"""What bench measures, on recipes small enough to be counted by hand."""

from __future__ import annotations

import json
import sys

import pytest
import torch

from saddlepoint.cli.bench import run
from saddlepoint.errors import SaddlepointError, UsageError
from saddlepoint.studies import bench as module
from saddlepoint.studies.bench import bench, count_flop, period, time_rounds
from saddlepoint.studies.case import open_case, random_data, start
from saddlepoint.studies.ceiling import handover, machine_ceiling
from saddlepoint.studies.footprint import measure
from saddlepoint.zoo.catalogue import list_recipes


@pytest.fixture
def trainer():
    trainer = start(open_case("dcgan", batch=4, device="cpu"))
    yield trainer
    trainer.close()


def test_a_round_of_dcgan_by_hand(trainer):
    w, side = trainer.game.config.width, 16
    generator = [(1, 100, 16 * 4 * w), (16, 4 * w, 2 * w * 16), (64, 2 * w, w * 16), (256, w, 3 * 16)]  # pixels, in, outputs of each pixel
    generator[0] = (1, 100, 4 * w * 16)  # a linear layer
    discriminator = [(side**2, 3 * 16, w), (64, w * 16, 2 * w), (16, 2 * w * 16, 4 * w), (1, 4 * w * 16, 1)]
    g, d = (sum(2 * a * b * c for a, b, c in layers) for layers in (generator, discriminator))
    g_first, d_first = (2 * a * b * c for a, b, c in (generator[0], discriminator[0]))
    forward = g + 3 * d  # the fakes are shared; D sees reals, fakes, and fakes again
    discriminator_turn = 2 * (2 * d - d_first)  # by weights and inputs, of reals and fakes; nobody asks for the slope at the images
    generator_turn = d + 2 * g - g_first  # through D by inputs alone; G by weights and inputs; nobody asks for the slope at z
    border = 2 * (17**2 - 16**2) * w * 16 * 3  # to few channels a map is computed with its border: G's last, and D's slope at the fakes
    assert count_flop(trainer)[0] == 4 * (forward + discriminator_turn + generator_turn + 2 * border)


def test_times_and_shares(trainer):
    times = time_rounds(trainer, 2, 2)
    assert times.rounds == 2
    assert all(len(seconds) == 2 and min(seconds) > 0 for seconds in times.seconds.values())
    for part in ("data", "logging"):
        share = times.share(part)
        assert 0 < share["min"] <= share["median"] <= share["max"] < 1
        assert share["by_leaving_out"] < 1
    assert trainer.feed.next()["image"].shape == (4, 3, 32, 32)  # the trainer's own feed is back


def test_the_period_of_lazy_terms(trainer):
    assert period(trainer.game) == 1
    for number, every in enumerate((4, 6)):
        extra = torch.nn.Module()
        extra.every = every
        trainer.game.add_module(f"extra{number}", extra)
    assert period(trainer.game) == 12


def test_memory_is_measured_in_a_process_of_its_own(monkeypatch):
    footprint = measure({"recipe": "dcgan", "batch": 2, "device": "cpu"}, threads=1)
    assert footprint["peak"] > footprint["before"] > 50 * 2**20
    monkeypatch.setattr(sys, "executable", "false")
    with pytest.raises(SaddlepointError, match="ended with 1: no message"):
        measure({"recipe": "dcgan"}, threads=1)


def test_the_ceiling_is_of_the_best_convolution(monkeypatch):
    from saddlepoint.studies import ceiling

    monkeypatch.setattr(ceiling, "CONVOLUTIONS", ((2, 8, 8, 8, 3, 1), (2, 8, 16, 8, 4, 2)))
    monkeypatch.setattr(ceiling, "MATRIX", 64)
    found = machine_ceiling(torch.device("cpu"), torch.float64, repeats=1)
    assert len(found["convolutions"]) == 4
    assert found["convolution"] == max(found["convolutions"].values()) > 0
    assert found["matrix"] > 0


def test_handing_over_is_measured_between_two_threads(monkeypatch):
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        assert handover() > 0.5
        torch.set_num_threads(1)
        assert handover() is None
    finally:
        torch.set_num_threads(threads)


@pytest.fixture
def quick(monkeypatch):
    """The parts that take long, and have tests of their own, give fixed answers."""
    monkeypatch.setattr(
        module, "machine_ceiling", lambda *_, **__: {"convolution": 1e11, "matrix": 2e11, "handover": 3.1, "convolutions": {"a": 1e11}}
    )
    monkeypatch.setattr(module, "measure_memory", lambda *_: {"peak": 300 * 2**20, "before": 200 * 2**20})


@pytest.mark.parametrize(("recipe", "preset"), [("dcgan", None), ("wgan-gp", "small"), ("wgan-gp", "toy")])
def test_bench_holds_together(quick, recipe, preset):
    result = json.loads(json.dumps(bench(recipe, preset=preset, batch=8, rounds=1, repeats=1, device="cpu")))
    turns = result["config"]["d_steps"]
    assert result["images_a_round"] == 8 * turns
    assert result["images_per_second"]["median"] == pytest.approx(8 * turns / result["seconds_a_round"]["median"], rel=1e-9)
    assert result["fraction"] == pytest.approx(result["flop_a_round"] / result["seconds_a_round"]["median"] / 1e11, rel=1e-9)
    assert result["flop_a_round"] == sum(result["flop_by_operation"].values()) > 0
    assert result["threads"] == torch.get_num_threads()


def test_the_verb_prints_a_table_or_json(quick, capsys):
    assert run(["dcgan", "--batch", "4", "--rounds", "1", "--repeats", "1", "--device", "cpu", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["recipe"] == "dcgan"
    assert run(["dcgan", "--batch", "4", "--resolution", "16", "--rounds", "1", "--repeats", "1", "--device", "cpu"]) == 0
    out = capsys.readouterr().out
    assert "dcgan small, batch 4, random image 3x16x16" in out
    assert "convolutions 100 GFLOP/s, matrix product 200 GFLOP/s" in out
    assert "its two threads      what the other one wrote takes 3.1 times as long" in out
    assert "300 MiB, of which 100 MiB for the rounds" in out


def test_what_cannot_be_timed_is_refused():
    with pytest.raises(UsageError, match="At least one repeat of one round"):
        bench("dcgan", repeats=0)
    with pytest.raises(UsageError, match="no recipe 'dcgna'"):
        bench("dcgna")


def test_random_data_is_the_same_every_time():
    first, second = (random_data((1, 4, 4), 20).records(torch.arange(20)) for _ in range(2))
    assert torch.equal(first["image"], second["image"])
    assert first["image"].dtype == torch.uint8
    assert first["label"].tolist() == [*range(10), *range(10)]


@pytest.mark.parametrize("entry", list_recipes(), ids=lambda entry: entry.name)
def test_every_recipe_can_be_timed(entry):
    trainer = start(open_case(entry.name, batch=4, device="cpu"))
    try:
        assert count_flop(trainer)[0] > 0
    finally:
        trainer.close()
