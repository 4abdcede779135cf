"""The commands behind the numbers of docs/metrics.md run, and their values agree."""

from __future__ import annotations

import json

import pytest

from saddlepoint.evaluation.frechet import frechet_distance
from saddlepoint.evaluation.inception import inception_score
from saddlepoint.evaluation.kernel import kernel_distance
from saddlepoint.studies import metric_bias, metric_limits, metric_response, metric_speed, metric_stream


def test_speed_prints_json_with_agreeing_values(capsys):
    assert metric_speed.main(["--dimension", "24", "--samples", "60", "--repeats", "1", "--only", "frechet"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["machine"]["threads"] >= 1
    values = [entry["value"] for entry in found["frechet"].values()]
    assert {"saddlepoint", "symmetric NumPy"} <= set(found["frechet"])
    assert values == pytest.approx([values[0]] * len(values), rel=1e-9)


def test_bias_writes_a_table_and_a_picture(tmp_path):
    table, picture = tmp_path / "bias.md", tmp_path / "bias.png"
    arguments = ["--dimension", "3", "--sizes", "20", "40", "--repeats", "2", "--out", str(table), "--picture", str(picture)]
    assert metric_bias.main(arguments) == 0
    assert picture.stat().st_size > 1000
    assert table.read_text().splitlines()[0].endswith("| 20 a side | 40 a side |")
    curves = metric_bias.measure(3, (20, 40), 2)
    assert curves["Frechet distance"][0][1] > curves["Frechet distance"][1][1]


def test_speed_measures_the_sides_that_are_named(capsys):
    assert metric_speed.main(["--dimension", "16", "--samples", "80", "--repeats", "1", "--only", "neighbours", "--by", "saddlepoint"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {frozenset(entry) for entry in found["neighbours"].values()} == {frozenset({"saddlepoint"})}
    assert found["peak MiB of the process"] > 10


def test_one_batch_of_a_reference_stands_for_all(capsys):
    command = [
        "--dimension",
        "16",
        "--samples",
        "80",
        "--repeats",
        "1",
        "--only",
        "neighbours",
        "--one-batch",
        "--by",
        "saddlepoint",
        "torch-fidelity, s",
    ]
    assert metric_speed.main(command) == 0
    found = json.loads(capsys.readouterr().out)["neighbours"]["precision and recall, k=3"]
    assert set(found) == {"saddlepoint", "torch-fidelity, saving memory"}
    theirs = found["torch-fidelity, saving memory"]
    assert theirs["value"] is None and theirs["processor times ours"] > 0


def test_made_features_are_the_same_whatever_their_number():
    few, many = (metric_speed.made_features(number, 8, seed=3)[0] for number in (50, 90))
    assert (few == many[:50]).all()
    assert (few >= 0).all()


def test_every_damage_raises_the_distances(tmp_path, monkeypatch):
    monkeypatch.setattr(metric_response, "DAMAGES", {name: (damage, strengths[::3]) for name, (damage, strengths) in metric_response.DAMAGES.items()})
    table, picture = tmp_path / "response.md", tmp_path / "response.png"
    assert metric_response.main(["--num", "80", "--out", str(table), "--picture", str(picture)]) == 0
    assert len(table.read_text().splitlines()) == 2 + 2 * 6 and picture.stat().st_size > 1000
    for name, rows in metric_response.measure(80).items():
        (_, clean), (_, damaged) = rows
        assert damaged["Frechet distance"] > 2 * clean["Frechet distance"], name
        assert damaged["kernel distance"] > clean["kernel distance"], name


def test_what_fools_one_metric_is_seen_by_another(monkeypatch):
    monkeypatch.setattr(metric_limits, "STEPS", 25)
    table = metric_limits.image_sets(120)
    real, fooling = table["other real images"], table["the noise, optimised against the classifier"]
    assert (
        fooling["Inception score"] > real["Inception score"]
        and fooling["Inception score"] > 9
        and fooling["Frechet distance"] > 10 * real["Frechet distance"]
    )
    assert table["one real image a class, repeated"]["recall"] < 0.2 < table["one real image a class, repeated"]["precision"]
    replayed = table["the training images, replayed"]
    assert replayed["Frechet distance"] < 1e-9 and replayed["copying"] == "copies" and real["copying"] == "no sign of copying"


def test_likelihood_and_windows_mislead():
    table = metric_limits.likelihoods(300, 64)
    true, noisy = table["the truth"], table["1 % truth, 99 % noise"]
    assert 0 < true["log-likelihood, nats"] - noisy["log-likelihood, nats"] < 4.61 and noisy["precision"] < 0.1 < true["precision"]
    found = metric_limits.windows(300)
    assert found["k-means centroids of real images"]["Parzen, nats"] > found["real images"]["Parzen, nats"]


def test_streams_agree_with_what_is_held_in_memory(capsys):
    assert metric_stream.main(["--one", "3000"]) == 0
    found = json.loads(capsys.readouterr().out)
    case = metric_stream.streamed_case(3000)
    real, fake = case.real.rows(), case.fake.rows()
    scores = {name: value for name, (value, _) in found["scores"].items()}
    assert scores["Frechet distance"] == pytest.approx(frechet_distance(real, fake), rel=1e-9)
    assert scores["kernel distance"] == pytest.approx(kernel_distance(real, fake).value, rel=1e-9)
    assert scores["Inception score"] == pytest.approx(inception_score(case.fake.rows("probabilities")).value, rel=1e-6)
    assert found["peak"] > 10 << 20
    empty = {"num": 0, "scores": {}, "seconds": 0.1, "peak": 500 << 20}
    table = metric_stream.as_table(empty, [found]).splitlines()
    assert len(table) == 4 and len({line.count("|") for line in table}) == 1 and table[3].startswith("| 3,000 | ")
