"""Typed flags: what is given, chosen and refused."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Literal

import pytest
import tyro

from saddlepoint.cli.parsing import choose_kinds, describe_kinds, flags, kinds, parse, take
from saddlepoint.errors import UsageError


@dataclasses.dataclass(frozen=True, kw_only=True)
class Adam:
    lr: float = 2e-4
    beta1: float = 0.5


@dataclasses.dataclass(frozen=True, kw_only=True)
class SGD:
    lr: float = 0.1
    momentum: float = 0.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    batch: int = 64
    latent: Literal["normal", "uniform"] = "normal"
    ema_halflife_kimg: float | None = None
    share_fakes: bool = False
    widths: tuple[int, ...] = (8, 16)
    optimizer: Adam | SGD = dataclasses.field(default_factory=Adam)
    averaging: SGD | None = None

    def __post_init__(self):
        if self.batch < 1:
            raise UsageError(f"batch must be at least 1; it is {self.batch}.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Arguments:
    data: str
    steps: int | None = None
    settings: Annotated[Settings, tyro.conf.arg(name="")] = dataclasses.field(default_factory=Settings)


def read(line: str, settings: Settings | None = None) -> Arguments:
    return parse(Arguments, line.split(), prog="saddlepoint verb", default=Arguments(data="fashion", settings=settings or Settings()))


def test_flags_are_typed_and_nested():
    given = read("--batch 3 --latent uniform --ema-halflife-kimg 10 --share-fakes --widths 1 2 3 --optimizer.lr 1e-3 --steps 7 --data here")
    assert given == Arguments(
        data="here",
        steps=7,
        settings=Settings(batch=3, latent="uniform", ema_halflife_kimg=10.0, share_fakes=True, widths=(1, 2, 3), optimizer=Adam(lr=1e-3)),
    )


def test_none_and_off_can_be_given():
    settings = Settings(ema_halflife_kimg=10.0, share_fakes=True)
    assert read("--ema-halflife-kimg None --no-share-fakes", settings).settings == Settings()


def test_a_preset_is_what_is_not_given():
    assert read("--batch 5", Settings(latent="uniform", optimizer=SGD(momentum=0.9))).settings == Settings(
        batch=5, latent="uniform", optimizer=SGD(momentum=0.9)
    )


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--bach 3", r"has no flag '--bach'\. Nearest: --batch\b"),
        ("--bach=3", r"Nearest: --batch\b"),
        ("--optimiser.lr 3", r"Nearest: --optimizer\.lr\b"),
        ("--batch x", r"--batch: invalid literal for int\(\) with base 10: 'x'"),
        ("--latent gauss", r"'gauss' for argument '--latent'\. Expected one of \('normal', 'uniform'\)"),
        ("--batch", r"Missing value for argument '--batch'"),
        ("again", r"has no use for 'again'"),
        ("--batch 0", r"batch must be at least 1; it is 0"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(line, message):
    with pytest.raises(UsageError, match=message) as refusal:
        read(line)
    assert "\n" not in str(refusal.value)
    assert not set("│╭╰─") & set(str(refusal.value))


def test_a_missing_flag_is_named():
    with pytest.raises(UsageError, match="--data"):
        parse(Arguments, [], prog="saddlepoint verb")


def test_help_shows_every_flag(capsys):
    with pytest.raises(SystemExit) as request:
        parse(Arguments, ["--help"], prog="saddlepoint verb", default=Arguments(data="fashion"), description=describe_kinds(Settings()))
    assert request.value.code == 0
    text = capsys.readouterr().out
    for flag in flags(Arguments(data="fashion")):
        assert flag in text


def test_a_kind_is_chosen_by_name():
    assert {field: list(options) for field, options in kinds(Settings()).items()} == {"optimizer": ["Adam", "SGD"], "averaging": ["SGD", "none"]}
    settings, rest = choose_kinds(Settings(), ["--optimizer", "sgd", "--batch", "4", "--averaging=SGD"])
    assert (settings.optimizer, settings.averaging, rest) == (SGD(), SGD(), ["--batch", "4"])
    assert read("--optimizer.momentum 0.9 --averaging.lr 2", settings).settings == Settings(optimizer=SGD(momentum=0.9), averaging=SGD(lr=2.0))
    assert choose_kinds(settings, ["--averaging", "none"])[0].averaging is None


def test_an_unknown_kind_is_refused_with_the_nearest():
    with pytest.raises(UsageError, match=r"--optimizer cannot be 'Adan'\. Nearest: Adam\."):
        choose_kinds(Settings(), ["--optimizer", "Adan"])


def test_a_flag_without_its_value_is_refused():
    with pytest.raises(UsageError, match="--preset needs a value"):
        take(["--preset"], "--preset")
