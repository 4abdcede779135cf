"""The commands behind the numbers of docs/metrics.md run, and their values agree."""

from __future__ import annotations

import json

import pytest

from saddlepoint.studies import metric_bias, metric_speed


def test_speed_prints_json_with_agreeing_values(capsys):
    assert metric_speed.main(["--dimension", "24", "--samples", "60", "--repeats", "1", "--only", "frechet"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["machine"]["threads"] >= 1
    values = [entry["value"] for entry in found["frechet"].values()]
    assert {"saddlepoint", "symmetric NumPy"} <= set(found["frechet"])
    assert values == pytest.approx([values[0]] * len(values), rel=1e-9)


def test_bias_writes_a_table_and_a_picture(tmp_path):
    table, picture = tmp_path / "bias.md", tmp_path / "bias.png"
    arguments = ["--dimension", "3", "--sizes", "10", "40", "--repeats", "3", "--out", str(table), "--picture", str(picture)]
    assert metric_bias.main(arguments) == 0
    assert picture.stat().st_size > 1000
    assert table.read_text().splitlines()[0].endswith("| 10 a side | 40 a side |")
    curves = metric_bias.measure(3, (10, 40), 3)
    assert curves["Frechet distance"][0][1] > curves["Frechet distance"][1][1]


def test_speed_measures_the_sides_that_are_named(capsys):
    assert metric_speed.main(["--dimension", "16", "--samples", "80", "--repeats", "1", "--only", "neighbours", "--by", "saddlepoint"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {frozenset(entry) for entry in found["neighbours"].values()} == {frozenset({"saddlepoint"})}
    assert found["peak MiB of the process"] > 10


def test_made_features_are_the_same_whatever_their_number():
    few, many = (metric_speed.made_features(number, 8, seed=3)[0] for number in (50, 90))
    assert (few == many[:50]).all()
    assert (few >= 0).all()
