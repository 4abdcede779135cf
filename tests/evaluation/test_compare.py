"""Comparisons: best and last of each run, unlike protocols marked and not ranked, a table and plots."""

from __future__ import annotations

import json
import math

import pytest

import saddlepoint
from saddlepoint.cli.main import main
from saddlepoint.errors import DataError, StorageError, UsageError

PROTOCOL = {"extractor": "quick", "num_real": 100, "num_fake": 100, "content_hash": "a"}


def evaluation(fd, precision=0.5, **changes):
    score = {"error": 0.1, "floor": 1.0}
    scores = {
        "fd": {"value": fd, "better": "lower", **score},
        "precision": {"value": precision, "better": "higher", **score},
        "recall": {"value": 0.4, "better": "higher", **score},
    }
    return {"round": 9, "scores": scores, "protocol": PROTOCOL | changes}


def quick(round, value):
    protocol = {"metric": "quick_frechet", "num_fake": 50}
    floor = {"quick_frechet": 0.5, "coverage": 0.9}
    return {
        "round": round,
        "images_seen": 64 * round,
        "metric": "quick_frechet",
        "quick_frechet": value,
        "coverage": 0.3,
        "floor": floor,
        "protocol": protocol,
    }


def make(folder, evaluations=(), scores=()):
    folder.mkdir()
    (folder / "run.json").write_text("{}")
    for name, records in (("evaluations", evaluations), ("scores", scores)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    return folder


def test_best_and_last_and_who_is_better(tmp_path) -> None:
    a = make(tmp_path / "a", [evaluation(9.0), evaluation(5.0)], [quick(1, 7.0), quick(2, 3.0), quick(3, 4.0)])
    b = make(tmp_path / "b", [evaluation(6.0, 0.8)], [quick(1, 2.0), quick(2, math.nan), quick(3, 6.0)])
    result = saddlepoint.compare(a, b)
    rows = {(row["name"], row["kind"]): row for row in result["rows"]}
    assert rows["a", "evaluation"]["scores"]["fd"]["value"] == 5.0
    assert [(rows[name, kind]["round"], rows[name, kind]["scores"]["quick_frechet"]["value"]) for name in "ab" for kind in ("best", "last")] == [
        (2, 3.0),
        (3, 4.0),
        (1, 2.0),
        (3, 6.0),
    ]
    assert result["best"] == {"fd": "a", "precision": "b", "recall": "a", "quick_frechet": "a"}  # by the last score, not the best
    assert not any(row["differences"] for row in result["rows"])


def test_unlike_protocols_are_marked_and_not_ranked(tmp_path) -> None:
    a = make(tmp_path / "a", [evaluation(5.0)])
    b = make(tmp_path / "b", [evaluation(1.0, num_fake=7, extractor="lite0")])
    result = saddlepoint.compare(a, b)
    assert result["rows"][1]["differences"] == ["extractor: quick and lite0", "number of generated samples: 100 and 7"]
    assert result["best"] == {}
    assert any(line.startswith("[1] b (evaluation) is not to be compared with the first: extractor: quick and lite0") for line in result["table"])


def test_evaluations_and_quick_scores_of_one_name_are_not_compared(tmp_path) -> None:
    runs = []
    for name, value in (("a", 0.2), ("b", 0.6)):
        full = evaluation(5.0)
        full["scores"]["coverage"] = {"value": value, "better": "higher", "error": 0.1, "floor": 1.0}
        full["details"] = {"prd": {"curve": [[1.0, 0.0], [value, value], [0.0, 1.0]]}}
        runs.append(make(tmp_path / name, [full], [quick(1, 7.0), quick(2, 3.0)]))
    result = saddlepoint.compare(*runs, out=tmp_path / "out")
    assert not any(row["differences"] for row in result["rows"])
    assert result["best"]["coverage"] == "b"
    lines = [line for line in result["table"] if line.startswith("| b |")]
    assert "**0.6 +- 0.1** (1)" in lines[0] and "| 0.3 (0.9) |" in lines[2]
    assert result["rows"][0]["prd"][1] == [0.2, 0.2] and "prd" not in result["rows"][1]
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {"prd.svg", "precision-recall.svg", "curves.svg"}


def test_files_and_plots_on_the_command_line(tmp_path, capsys) -> None:
    a = make(tmp_path / "a", [evaluation(5.0)], [quick(1, 7.0), quick(2, 3.0)])
    (tmp_path / "b.json").write_text(json.dumps(evaluation(4.0)))
    assert main(["compare", str(a), str(tmp_path / "b.json"), "--out", str(tmp_path / "out")]) == 0
    shown = capsys.readouterr().out
    assert "| b.json | evaluation | 9 | **4 +- 0.1** (1) |" in shown
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"table.md", "compare.json", "curves.svg", "precision-recall.svg"}
    assert (tmp_path / "out" / "table.md").read_text() == shown
    assert main(["compare", str(a), str(tmp_path / "b.json"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["best"]["fd"] == "b.json"


def test_runs_from_training_to_comparison(tmp_path, capsys) -> None:
    runs = [tmp_path / name for name in ("a", "b")]
    for seed, folder in enumerate(runs):
        saddlepoint.train("wgan-gp", data="ring8", out=folder, preset="toy", steps=2, seed=seed, width=8, batch=16)
        result = saddlepoint.evaluate(folder, metrics="fd,precision-recall", num=600)
        assert json.loads((folder / "evaluations.jsonl").read_text()) == result
        assert result["round"] == 2 and result["protocol"]["ema"] is False and result["protocol"]["truncation"] == "none"
    again = saddlepoint.evaluate(runs[0], metrics="fd,precision-recall", num=600)
    assert again["scores"] == saddlepoint.evaluate(runs[0], metrics="fd,precision-recall", num=600)["scores"]
    compared = saddlepoint.compare(*runs)
    assert set(compared["best"]) >= {"fd", "precision", "recall"}
    capsys.readouterr()
    assert main(["evaluate", str(runs[0]), "--metrics", "fd", "--num", "600"]) == 0
    shown = capsys.readouterr()
    assert "lower is better)" in shown.out and "features of" not in shown.out
    with pytest.raises(UsageError, match="size of their own"):
        saddlepoint.evaluate(runs[0], metrics="fd", resolution=8)


def test_what_cannot_be_compared_is_refused_in_one_line(tmp_path) -> None:
    a, empty = make(tmp_path / "a", [evaluation(5.0)]), make(tmp_path / "empty")
    (tmp_path / "folder").mkdir()
    (tmp_path / "other.json").write_text("[1]")
    cases = [
        ((a,), UsageError, "two targets or more"),
        ((a, a), UsageError, "named once"),
        ((a, empty), DataError, "has no scores yet"),
        ((a, tmp_path / "folder"), DataError, "is no run folder"),
        ((a, tmp_path / "none"), DataError, "no run folder or file"),
        ((a, tmp_path / "other.json"), DataError, "has no protocol"),
    ]
    for targets, kind, message in cases:
        with pytest.raises(kind, match=message) as raised:
            saddlepoint.compare(*targets)
        assert "\n" not in str(raised.value)
    (tmp_path / "b.json").write_text(json.dumps(evaluation(4.0)))
    with pytest.raises(StorageError, match="Cannot write the comparison"):
        saddlepoint.compare(a, tmp_path / "b.json", out=tmp_path / "b.json")
