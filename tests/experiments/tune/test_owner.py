"""Who works on a trial, and whether that process lives."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from sentiment140_bert.experiments.tune import owner
from tune_fixtures import Clock

pytest_plugins = "tune_fixtures"

SHOW = """
import json
from sentiment140_bert.experiments.tune import owner
print(json.dumps(owner.this_process().to_plain()), flush=True)
input()
"""


@pytest.fixture
def other():
    """Another process of this machine, and what it says of itself."""
    import json

    process = subprocess.Popen([sys.executable, "-c", SHOW], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    yield process, json.loads(process.stdout.readline())
    process.kill()
    process.wait()


def test_a_process_of_this_machine_is_dead_when_it_is(other) -> None:
    process, theirs = other
    watch = owner.Watch(owner.this_process())
    assert not watch.is_dead(theirs, None)
    process.kill()
    while not watch.is_dead(theirs, None):  # a corpse whose end nobody has asked for
        pass
    process.wait()
    assert watch.is_dead(theirs, None)


def test_a_number_that_was_given_again_is_another_process(other) -> None:
    _, theirs = other
    assert owner.Watch(owner.this_process()).is_dead(theirs | {"started": "1"}, None)


def test_a_process_elsewhere_is_dead_without_a_sign_of_life(clock: Clock) -> None:
    me = owner.this_process()
    there = replace(me, place="elsewhere", mark="other").to_plain()
    watch = owner.Watch(me)
    assert not watch.is_dead(there, "1")
    clock.sleep(owner.PATIENCE - 1)
    assert not watch.is_dead(there, "1")
    assert not watch.is_dead(there, "2")  # it gave one
    clock.sleep(owner.PATIENCE - 1)
    assert not watch.is_dead(there, "2")
    clock.sleep(2)
    assert watch.is_dead(there, "2")


def test_a_process_elsewhere_lives_when_it_gave_a_sign_while_it_was_watched(clock: Clock) -> None:
    me = owner.this_process()
    there = replace(me, place="elsewhere", mark="other").to_plain()
    watch = owner.Watch(me, patience=50)
    assert [watch.state(there, beat) for beat in ("1", "1", "2", "2")] == ["silent", "silent", "alive", "alive"]
    clock.sleep(51)
    assert watch.state(there, "2") == "dead"


def test_before_a_reboot_is_dead_at_once() -> None:
    me = replace(owner.this_process(), place="here boot-2 pid:[1]")

    def told(place: str, **changes: bool) -> str:
        return owner.Watch(me, **changes).state(replace(me, place=place, mark="other").to_plain(), "1")  # type: ignore[arg-type]

    assert told("here boot-1 pid:[1]") == "dead"
    assert told("here boot-1 pid:[1]", one_machine=False) == "silent"  # two machines may have one name
    for place in ("there boot-1 pid:[1]", "here boot-2 pid:[2]", "here"):
        assert told(place) == "silent"


def test_nobody_is_dead_to_itself() -> None:
    me = owner.this_process()
    assert not owner.Watch(me).is_dead(me.to_plain(), None)
    assert owner.this_process().mark != me.mark
