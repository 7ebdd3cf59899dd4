from __future__ import annotations

import multiprocessing
from pathlib import Path

import slow_work

from benchmark import Contender, Measured, alternate, summarize


def contender(name: str, log: Path, seconds: float = 1.0) -> Contender:
    return Contender(name, name.title(), slow_work.timed, {"log": str(log), "name": name, "seconds": seconds})


def test_contenders_take_turns_each_in_its_own_process(tmp_path: Path) -> None:
    log = tmp_path / "log"
    turns, _ = alternate([contender(name, log) for name in "abc"], 3)
    worked = [line.split() for line in log.read_text().splitlines()]
    assert [name for name, _ in worked] == list("abcbcacab")
    assert len({process for _, process in worked}) == 3
    assert all(len(rounds) == 3 for rounds in turns.values())


def test_memory_is_that_of_each_process() -> None:
    sizes = {"small": 1, "large": 300}
    turns, _ = alternate([Contender(name, "", slow_work.large, {"mib": mib}) for name, mib in sizes.items()], 1)
    assert turns["large"][0].memory - turns["small"][0].memory > 200


def test_failed_contenders_are_left_out_with_the_reason(tmp_path: Path) -> None:
    contenders = [Contender("unable", "Unable", slow_work.unable), contender("package", tmp_path / "log")]
    turns, failed = alternate(contenders, 2)
    assert failed == {"unable": "There is no such device."}
    assert len(turns["package"]) == 2
    report = summarize(contenders, turns, failed)
    assert report["contenders"]["unable"] == {"title": "Unable", "failed": "There is no such device."}
    assert report["ratios"] == {}


def test_a_process_that_dies_does_not_cost_the_turns_of_others(tmp_path: Path) -> None:
    """Keep its own first turn out, too."""
    contenders = [Contender("dying", "Dying", slow_work.dying, {"turns": 1}), contender("package", tmp_path / "log")]
    turns, failed = alternate(contenders, 3)
    assert [len(turns[name]) for name in ("dying", "package")] == [1, 3]
    assert "its process ended; what it printed stands above" in failed["dying"]
    report = summarize(contenders, turns, failed)
    assert report["contenders"]["dying"]["rounds"] == [1.0]
    assert report["ratios"] == {"package / dying": 12.0}


def test_a_process_killed_while_it_waits_does_not_cost_the_turns_of_others(tmp_path: Path) -> None:
    """Kill it after its first turn, so that its second one cannot start."""
    log = tmp_path / "log"

    def kill(line: str) -> None:
        if line.startswith("round 1 of 3  Idle"):
            idle = int(log.read_text().split()[-1])
            (process,) = [child for child in multiprocessing.active_children() if child.pid == idle]
            process.kill()
            process.join()

    turns, failed = alternate([contender("idle", log), contender("package", log)], 3, kill)
    assert [len(turns[name]) for name in ("idle", "package")] == [1, 3]
    assert list(failed) == ["idle"]
    assert "killed, perhaps for memory" in failed["idle"]


def turn(speed: float) -> Measured:
    return Measured(slow_work.Work(tweets=100, tokens=1000), 100 / speed, 50)


def test_ratios_are_medians_of_those_within_a_round() -> None:
    """Slow the machine down to a tenth: ratios of medians would be 1.5, those of each round are 2."""
    contenders = [Contender("other", "Other", slow_work.unable), Contender("package", "Package", slow_work.unable)]
    turns = {"other": [turn(10), turn(10), turn(1)], "package": [turn(20), turn(15), turn(2)]}
    report = summarize(contenders, turns, {})
    assert report["ratios"] == {"package / other": 2.0}
    assert report["contenders"]["package"]["tweets_per_second"] == 15
    assert report["contenders"]["package"]["rounds"] == [20, 15, 2]


def test_the_share_of_the_ceiling() -> None:
    """Expect 60% of 10 GFLOP/s for 1,000 tokens a second of 6 million operations each."""
    contenders = [Contender("package", "Package", slow_work.unable), Contender("ceiling", "", slow_work.unable)]
    best = Measured(slow_work.Work(flops=2e10, seconds=2.0), 2.0, 10)
    report = summarize(contenders, {"package": [turn(100)], "ceiling": [best]}, {}, flops_per_token=6e6)
    assert report["ceiling"] == 10.0
    assert report["contenders"]["package"]["share_of_ceiling"] == 0.6
    assert list(report["contenders"]) == ["package"]
