"""Read nvidia-smi through a program of that name; the machine of these tests has no GPU."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import torch

from sentiment140_bert.cli.output import print_usage
from sentiment140_bert.machine import facts, gpu
from sentiment140_bert.machine.usage import Usage, list_advice

pytest_plugins = "driver_fixtures"

RTX = gpu.Gpu("GPU-6f1a", "NVIDIA GeForce RTX 4060", "550.54.15", 8188, 412, 61, False)


def test_without_a_driver_nothing_is_claimed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gpu.list_gpus() == []
    assert gpu.read_driver_cuda() is None


@pytest.mark.parametrize("unknown", ["no-such-field", "clocks_event_reasons"], ids=["driver 535 on", "older driver"])
def test_the_drivers_answer_is_read(driver, unknown: str) -> None:
    driver(unknown=unknown)
    assert gpu.list_gpus() == [RTX]
    assert gpu.read_driver_cuda() == "12.4"


@pytest.mark.parametrize(
    ("reasons", "slowed"),
    [
        ("0x0000000000000000", False),
        ("0x0000000000000001", False),  # idle
        ("0x0000000000000004", False),  # power cap
        ("0x0000000000000020", True),  # software thermal slowdown
        ("0x0000000000000044", True),  # hardware thermal slowdown, and power cap
        ("[N/A]", None),
    ],
)
def test_only_heat_is_called_heat(driver, reasons: str, slowed: bool | None) -> None:
    driver(reasons=reasons)
    assert gpu.list_gpus()[0].slowed_by_heat is slowed


@pytest.mark.parametrize("answer", ["No devices were found", "a, b"])
def test_an_unexpected_answer_means_no_gpu(driver, answer: str) -> None:
    driver(answer=answer)
    assert gpu.list_gpus() == []


def test_missing_values_are_unknown(driver) -> None:
    driver(temperature="[N/A]", reasons="[Not Supported]")
    assert (gpu.list_gpus()[0].temperature, gpu.list_gpus()[0].slowed_by_heat) == (None, None)


@pytest.mark.parametrize(
    ("gpus", "available", "torch_cuda", "driver_cuda", "visible", "message"),
    [
        ([], False, None, None, None, ""),
        ([RTX], True, "12.8", "12.4", None, ""),
        ([RTX], False, None, "12.4", None, "CPU build"),
        ([RTX], False, "12.8", "12.8", "", "CUDA_VISIBLE_DEVICES='' hides it"),
        ([RTX], False, "12.8", "12.8", "-1", "hides it"),
        ([RTX], False, "13.0", "12.4", None, "driver 550.54.15 supports CUDA 12.4 and torch was built for 13.0"),
        ([RTX], False, "12.8", "12.4", None, "cannot start CUDA"),
        ([RTX], False, "12.8", None, "0", "cannot start CUDA"),
    ],
)
def test_a_gpu_that_is_not_used_has_a_reason(gpus, available, torch_cuda, driver_cuda, visible, message: str) -> None:
    result = facts.explain_unused_gpu(gpus, available, torch_cuda, driver_cuda, visible)
    assert result == "" if not message else message in result


@pytest.mark.parametrize(
    ("capability", "built", "fits"),
    [
        ("8.9", ["sm_75", "sm_80", "sm_86", "sm_90"], True),  # RTX 4060: code for 8.6 runs on 8.9
        ("6.1", ["sm_75", "sm_80", "sm_86", "sm_90"], False),  # GTX 1070
        ("12.0", ["sm_90", "sm_120"], True),
        ("12.1", ["sm_90", "compute_90"], True),
        ("8.0", ["sm_86"], False),
        ("9.0", ["sm_90a"], True),
        ("9.0", [], True),
    ],
)
def test_a_gpu_that_torch_has_no_code_for(capability: str, built: list[str], fits: bool) -> None:
    assert (facts.explain_old_gpu("x", capability, built) == "") is fits


def test_temperature_is_sampled_during_the_work() -> None:
    """The watching thread itself, with states given one after the other, then none."""
    hot = gpu.Gpu("GPU-6f1a", "a", "1", 8188, 1, 88, True)
    unsaid = gpu.Gpu("GPU-6f1a", "a", "1", 8188, 1, None, None)
    states = iter([RTX, hot, unsaid, hot, None])
    usage = Usage(look=lambda: next(states), between=0.0)
    usage._watch()
    assert usage.summarize_heat() == {"samples": 4, "temperature_peak": 88, "slowed_by_heat": 0.6667}


def test_leaving_ends_the_watch_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    usage = Usage(look=lambda: RTX, between=3600.0)  # longer than a test may take
    usage._thread = threading.Thread(target=usage._watch)
    usage._thread.start()
    usage.__exit__()
    assert not usage._thread.is_alive()


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_without_a_gpu_only_memory_is_reported() -> None:
    with Usage() as usage:
        pass
    assert usage.summary()["gpu"] is None
    assert usage.summary()["memory_peak"] > 50
    assert list_advice(usage.summary()) == []


def used(reserved: int = 3000, temperature: int | None = 70, slowed: float | None = 0.0) -> dict:
    result = {"memory_total": 8000, "memory_allocated_peak": reserved, "memory_reserved_peak": reserved}
    return {
        "memory_peak": 2048,
        "gpu": result | {"samples": 50, "temperature_peak": temperature} | {"slowed_by_heat": slowed},
    }


@pytest.mark.parametrize(
    ("usage", "message"),
    [
        (used(), []),
        (used(reserved=7600), ["filled to 95%"]),
        (used(slowed=0.12), ["because of heat in 12% of 50 samples"]),
        (used(temperature=None, slowed=None), ["Temperature unknown"]),
    ],
)
def test_advice_only_where_it_matters(usage: dict, message: list[str]) -> None:
    result = list_advice(usage)
    assert len(result) == len(message)
    assert all(part in sentence for part, sentence in zip(message, result, strict=True))


def test_the_last_lines_of_a_training(capsys: pytest.CaptureFixture[str]) -> None:
    batch = {"tweets": 16, "per_device": 4, "accumulated": 4}
    print_usage({"usage": used(reserved=7600, temperature=84, slowed=0.5), "batch": batch, "out_of_memory": 2})
    shown = capsys.readouterr().out
    assert "peak memory 2.0 GiB; GPU memory 7.4 of 7.8 GiB (95%); GPU up to 84 °C" in shown
    assert "out of memory 2 times: each step of 16 tweets was computed in parts of 4" in shown
    assert "50%" in shown


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_a_real_gpu_is_watched() -> None:
    with Usage(between=0.1) as usage:
        torch.ones(1000, 1000, device="cuda").sum().item()
        time.sleep(0.5)
    result = usage.summary()["gpu"]
    assert result["memory_reserved_peak"] >= 4
    assert result["samples"] >= 1
    assert gpu.choose_used_gpu(gpu.list_gpus()) is not None
