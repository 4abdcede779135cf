"""A study folder, the balance of its questions, the door to it, and what becomes of answers."""

from __future__ import annotations

import collections
import contextlib
import itertools
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch
from PIL import Image

from saddlepoint.errors import DataError, StorageError, UsageError
from saddlepoint.human.answers import read_answers
from saddlepoint.human.study import Settings, create_study, open_study
from saddlepoint.human.trials import GENERATED, REAL, choices, make_trials


def main_trials(study, rater="anna"):
    return [trial for trial in make_trials(study, rater) if trial.role == "main"]


# -- the folder ----------------------------------------------------------------------------------------------------------------------------


def test_a_study_opens_as_it_was_made(make_study):
    study = make_study("ranking", "pair", arms=3, trials=12, practice=3, display_ms=250, matched=True, prompts=tuple(f"item {i}" for i in range(40)))
    assert open_study(study.folder) == study
    assert len(study.masks) == 5
    assert sorted(path.name for path in (study.folder / "masks").iterdir()) == sorted(study.masks)


def test_pictures_are_copied_under_names_that_say_nothing(make_study):
    study = make_study("real-or-fake", "one", trials=20)
    rng = torch.Generator().manual_seed(0)
    first = torch.randint(0, 256, (40, 3, 8, 8), generator=rng, dtype=torch.uint8)
    for picture, name in zip(first, study.real.images, strict=True):
        assert np.array_equal(np.asarray(Image.open(study.folder / "images" / name)).transpose(2, 0, 1), picture.numpy())
    names = sorted([*study.arms[0].images, *study.arms[1].images])
    assert len(set(names)) == 80
    ranks = [names.index(name) for name in study.arms[0].images]
    assert 25 < np.mean(ranks) < 54  # real ones do not come first
    assert abs(np.corrcoef(ranks, range(40))[0, 1]) < 0.5
    assert sorted(os.listdir(study.folder / "images")) == names


def test_a_study_that_cannot_be_is_refused_before_anything_is_written(make_study, tmp_path):
    with pytest.raises(UsageError, match=r"arm\d has too few pictures \(40\) for 100 trials and 10 of practice"):
        make_study("real-or-fake", "one")
    assert list(tmp_path.iterdir()) == []
    study = make_study("real-or-fake", "one", trials=20)
    with pytest.raises(UsageError, match="never overwritten"):
        make_study("real-or-fake", "one", trials=20)
    assert open_study(study.folder) == study


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "ranking", "layout": "one"}, "cannot show pictures as 'one'. Layouts: pair, best, order"),
        ({"kind": "real-or-fake", "layout": "one", "trials": 0}, "at least 1 trial"),
        ({"kind": "real-or-fake", "layout": "one", "attention": 2}, "attention 5 of 2 came"),
        ({"kind": "real-or-fake", "layout": "one", "display_ms": 5}, "10 to 60000 ms"),
        ({"kind": "real-or-fake", "layout": "one", "display_ms": 50, "staircase": True}, "not both"),
        ({"kind": "ranking", "layout": "pair", "staircase": True}, "staircase is for real-or-fake studies with layout one"),
        ({"kind": "real-or-fake", "layout": "pair", "ties": True}, "ties is for ranking studies with layout pair"),
        ({"kind": "ranking", "layout": "pair", "feedback": True}, "feedback is for real-or-fake"),
        ({"kind": "ranking", "layout": "pair", "prompts": ("a",)}, "set matched as well"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings, message):
    with pytest.raises(UsageError, match=message) as refused:
        Settings(**settings)
    assert "\n" not in str(refused.value)


def test_arms_that_do_not_fit_are_refused(tmp_path):
    small, large, grey = (torch.zeros(30, c, s, s, dtype=torch.uint8) for c, s in ((3, 8), (3, 9), (1, 8)))
    pair = Settings(kind="ranking", layout="pair", trials=4, practice=0, matched=True)
    for settings, arms, message in (
        (pair, [("a", small)], "at least two arms"),
        (pair, [("a", small), ("a", small)], "different names"),
        (pair, [("a", small), ("b", large)], "gives the answer away; a 3x8x8, b 3x9x9 came"),
        (pair, [("a", small), ("b", grey)], "gives the answer away"),
        (pair, [("a", small), ("b", small[:20])], "one picture an item"),
        (Settings(kind="ranking", layout="order", trials=4), [("a", small), ("b", small)], "at least three arms"),
        (Settings(kind="real-or-fake", layout="one", staircase=True), [(name, small) for name in "abc"], "one generator at a time; 2 came"),
    ):
        with pytest.raises(UsageError, match=message):
            create_study(tmp_path / "study", settings, [(name, images, {}) for name, images in arms])


def test_what_is_no_study_is_refused(tmp_path, make_study):
    with pytest.raises(UsageError, match="has no study.json"):
        open_study(tmp_path)
    study = make_study("real-or-fake", "one", trials=20)
    (study.folder / "images" / study.real.images[3]).unlink()
    with pytest.raises(DataError, match="lacks 1 of its pictures"):
        open_study(study.folder)
    content = json.loads((study.folder / "study.json").read_text())
    (study.folder / "study.json").write_text(json.dumps(content | {"format": 99}))
    with pytest.raises(UsageError, match="study format 99"):
        open_study(study.folder)
    (study.folder / "study.json").write_text('{"format": 1}')
    with pytest.raises(DataError, match="is damaged"):
        open_study(study.folder)


# -- balance -------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arms", [2, 3, 4])
def test_real_or_fake_is_half_and_half_and_equal_over_generators(make_study, arms):
    study = make_study("real-or-fake", "one", arms=arms, trials=48, practice=6)
    for rater in ("anna", "ben"):
        shown = collections.Counter(trial.arms[0] for trial in main_trials(study, rater))
        assert shown == {0: 24} | dict.fromkeys(range(1, arms), 24 // (arms - 1))
        images = [name for trial in make_trials(study, rater) for name in trial.images]
        assert len(images) == len(set(images)) == 54  # nothing is seen twice, practice included
        for trial in main_trials(study, rater):
            assert trial.answer == (REAL if trial.arms == (0,) else GENERATED)
            assert trial.images[0] in study.arms[trial.arms[0]].images
    assert [trial.arms for trial in main_trials(study, "anna")] != [trial.arms for trial in main_trials(study, "ben")]
    assert make_trials(study, "anna") == make_trials(open_study(study.folder), "anna")


def test_forced_choice_balances_sides(make_study):
    study = make_study("real-or-fake", "pair", arms=3, trials=32, practice=4)
    trials = main_trials(study)
    assert collections.Counter(trial.answer for trial in trials) == {"0": 16, "1": 16}
    assert all(trial.arms[int(trial.answer)] == 0 and sum(trial.arms) > 0 for trial in trials)
    assert sorted(collections.Counter(sum(trial.arms) for trial in trials).values()) == [16, 16]


@pytest.mark.parametrize("matched", [False, True])
def test_ranking_pairs_balance_pairs_and_sides(make_study, matched):
    study = make_study("ranking", "pair", arms=4, trials=36, practice=0, matched=matched)
    trials = main_trials(study)
    assert set(collections.Counter(tuple(sorted(trial.arms)) for trial in trials).values()) == {6}
    assert set(collections.Counter(trial.arms for trial in trials).values()) == {3}  # every pair both ways round
    if matched:
        for trial in trials:
            assert [study.arms[arm].images[trial.item] for arm in trial.arms] == list(trial.images)
        for pair in itertools.combinations(range(4), 2):
            items = [trial.item for trial in trials if tuple(sorted(trial.arms)) == pair]
            assert len(items) == len(set(items))


@pytest.mark.parametrize("layout", ["best", "order"])
def test_every_arm_stands_equally_often_at_every_place(make_study, layout):
    study = make_study("ranking", layout, arms=4, trials=20, practice=0)
    places = np.array([trial.arms for trial in main_trials(study)])
    for place in range(4):
        assert collections.Counter(places[:, place].tolist()) == dict.fromkeys(range(4), 5)


@pytest.mark.parametrize(("kind", "layout", "arms"), [("real-or-fake", "one", 2), ("ranking", "pair", 3), ("ranking", "order", 3)])
def test_attention_checks_are_spread_and_ask_for_different_answers(make_study, kind, layout, arms):
    study = make_study(kind, layout, arms=arms, trials=30, practice=2, attention=6)
    trials = make_trials(study, "anna")
    checks = [trial for trial in trials if trial.role == "attention"]
    assert len(checks) == 6
    assert set(collections.Counter(trial.answer for trial in checks).values()) == {3}
    assert all(trial.answer in choices(study) for trial in checks)
    assert max(trial.index for trial in checks) - min(trial.index for trial in checks) > 15
    assert [trial.role for trial in trials[:2]] == ["practice", "practice"]


def test_a_staircase_runs_in_blocks_of_150(make_study):
    study = make_study("real-or-fake", "one", num=240, trials=450, practice=10, staircase=True)
    by_block = collections.Counter((trial.block, trial.answer) for trial in main_trials(study))
    assert by_block == {(block, answer): 75 for block in range(3) for answer in (REAL, GENERATED)}


# -- the door ------------------------------------------------------------------------------------------------------------------------------


def test_a_rater_goes_through_a_study(make_study, open_session):
    study = make_study("real-or-fake", "one", trials=8, practice=2, attention=2, attention_needed=2, display_ms=100)
    session = open_session(study)
    assert session.view("anna")["state"] == "consent"
    with pytest.raises(UsageError, match="not the next of rater anna"):
        session.answer("anna", 0, REAL)
    view, roles = session.consent("anna"), []
    while view["state"] == "question":
        roles.append(view["role"])
        assert (view["exposure_ms"], len(view["masks"])) == ((None, 0) if view["role"] == "attention" else (100, 5))
        text = json.dumps({key: value for key, value in view.items() if key not in ("images", "masks")})
        assert "arm" not in text
        assert not any(name in text for arm in study.arms for name in arm.images)
        view = session.answer("anna", view["trial"], view["check"] or GENERATED, response_ms=812.5, shown_ms=100.2)
        assert ("feedback" in view) == (roles[-1] == "practice")
    assert view["state"] == "done"
    assert collections.Counter(roles) == {"practice": 2, "main": 8, "attention": 2}
    rows = read_answers(study.folder)
    assert [row.trial for row in rows] == list(range(12))
    assert all(row.correct == (row.arms == "1") for row in rows if row.role != "attention")
    assert {row.response_ms for row in rows} == {812.5}


def test_feedback_is_told_where_the_study_teaches(make_study, open_session):
    study = make_study("real-or-fake", "one", trials=4, practice=0, attention=0, attention_needed=0, feedback=True)
    session = open_session(study)
    session.consent("anna")
    first = make_trials(study, "anna")[0]
    assert session.answer("anna", 0, GENERATED)["feedback"] == {"right": first.answer == GENERATED, "answer": first.answer}


def test_the_first_answer_stands_and_a_repeated_one_changes_nothing(make_study, open_session):
    study = make_study("real-or-fake", "one", trials=4, practice=0, attention=0, attention_needed=0)
    session = open_session(study)
    session.consent("anna")
    assert session.answer("anna", 0, REAL)["trial"] == 1
    assert session.answer("anna", 0, GENERATED)["trial"] == 1
    assert [row.choice for row in read_answers(study.folder)] == [REAL]
    for trial, choice, message in ((2, REAL, "Question 2 is not the next"), (-1, REAL, "not the next"), (1, "maybe", "'maybe' is no answer")):
        with pytest.raises(UsageError, match=message):
            session.answer("anna", trial, choice)
    for code in ("", "a b", "x" * 65, "../up"):
        with pytest.raises(UsageError, match="1 to 64 letters"):
            session.view(code)


def test_times_that_cannot_be_are_not_believed(make_study, open_session):
    study = make_study("real-or-fake", "one", trials=4, practice=0, attention=0, attention_needed=0)
    session = open_session(study)
    session.consent("anna")
    for trial, time in enumerate((-5.0, float("nan"), "soon", 1e12)):
        session.answer("anna", trial, REAL, response_ms=time)
    assert [row.response_ms for row in read_answers(study.folder)] == [None, None, None, 3_600_000.0]


def test_many_raters_at_once_lose_nothing(make_study, open_session):
    study = make_study("real-or-fake", "one", trials=10, practice=0, attention=0, attention_needed=0)
    session = open_session(study)

    def answer_all(rater):
        view = session.consent(rater)
        while view["state"] == "question":
            view = session.answer(rater, view["trial"], REAL)

    threads = [threading.Thread(target=answer_all, args=(f"rater{i}",)) for i in range(8)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert collections.Counter(row.rater for row in read_answers(study.folder)) == {f"rater{i}": 10 for i in range(8)}


# -- nothing is lost -----------------------------------------------------------------------------------------------------------------------

ANSWER_FOREVER = """
import sys
from pathlib import Path
from saddlepoint.human.answers import AnswerStore
from saddlepoint.human.session import Session
from saddlepoint.human.study import open_study
study = open_study(Path(sys.argv[1]))
session = Session(study, AnswerStore(study.folder))
view = session.consent("anna")
while view["state"] == "question":
    view = session.answer("anna", view["trial"], "real")
    print(view.get("trial", "done"), flush=True)
"""


def test_a_kill_loses_no_acknowledged_answer(make_study, open_session):
    study = make_study("real-or-fake", "one", num=400, trials=600, practice=0, attention=0, attention_needed=0)
    process = subprocess.Popen([sys.executable, "-c", ANSWER_FOREVER, str(study.folder)], stdout=subprocess.PIPE, text=True)
    for _ in range(60):
        acknowledged = int(process.stdout.readline())
    process.send_signal(signal.SIGKILL)
    acknowledged = ([acknowledged] + [int(line) for line in process.stdout.read().splitlines(keepends=True) if line.endswith("\n")])[-1]
    assert process.wait() == -signal.SIGKILL
    process.stdout.close()
    stored = read_answers(study.folder)
    assert [row.trial for row in stored] == list(range(len(stored)))
    assert 60 <= acknowledged <= len(stored) <= acknowledged + 1  # the one more was stored, and killed before it was said
    assert open_session(study).view("anna")["trial"] == len(stored)


def test_answers_are_flushed_at_once(make_study, open_session):
    store = open_session(make_study("real-or-fake", "one", trials=20)).store
    assert store._connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert store._connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL


def test_a_damaged_or_refused_file_is_named_in_one_line(make_study, open_session):
    study = make_study("real-or-fake", "one", trials=20)
    (study.folder / "answers.sqlite").write_bytes(b"this is no database at all, whatever its name" * 40)
    with pytest.raises(DataError, match=r"answers.sqlite is damaged") as refused:
        read_answers(study.folder)
    assert "\n" not in str(refused.value)
    (study.folder / "answers.sqlite").unlink()
    store = open_session(study).store
    store._connection.execute(f"PRAGMA max_page_count = {store._connection.execute('PRAGMA page_count').fetchone()[0]}")
    with pytest.raises(StorageError, match="cannot be read or written: database or disk is full"):
        [store.consent(f"rater{index}" + "x" * 50) for index in range(1000)]
    with contextlib.closing(sqlite3.connect(store.path)) as other:
        assert other.execute("PRAGMA integrity_check").fetchone() == ("ok",)
