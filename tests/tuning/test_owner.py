"""Who works on a trial, and whether that process lives."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from sentiment140_bert.tuning import owner

SHOW = """
import json
from sentiment140_bert.tuning import owner
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
    process.stdout.read()  # ends with it: the kernel has buried it, though nobody has asked for its end
    while owner._started(process.pid):
        pass
    assert watch.is_dead(theirs, None)
    process.wait()
    assert watch.is_dead(theirs, None)


def test_a_number_that_was_given_again_is_another_process(other) -> None:
    _, theirs = other
    assert owner.Watch(owner.this_process()).is_dead(theirs | {"started": "1"}, None)


def test_a_process_elsewhere_is_dead_without_a_sign_of_life(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(owner.time, "monotonic", lambda: now[0])
    me = owner.this_process()
    there = replace(me, place="elsewhere", mark="other").to_plain()
    watch = owner.Watch(me)
    assert not watch.is_dead(there, "1")
    now[0] += owner.PATIENCE - 1
    assert not watch.is_dead(there, "1")
    assert not watch.is_dead(there, "2")  # it gave one
    now[0] += owner.PATIENCE - 1
    assert not watch.is_dead(there, "2")
    now[0] += 2
    assert watch.is_dead(there, "2")


def test_nobody_is_dead_to_itself() -> None:
    me = owner.this_process()
    assert not owner.Watch(me).is_dead(me.to_plain(), None)
    assert owner.this_process().mark != me.mark
