"""``s140 doctor``"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import cloup

from sentiment140_bert.cli.help import Command
from sentiment140_bert.cli.options import output_options, recipe_option, recipe_options, resolve_recipe, set_option
from sentiment140_bert.cli.output import print_json, print_table, stdout_kept_clean

if TYPE_CHECKING:
    from sentiment140_bert.platforms.doctor_checkup import Checkup, Choice, ExaminedMachine
    from sentiment140_bert.platforms.doctor_probe import JobEstimate


@cloup.command(cls=Command)
@recipe_option
@cloup.option(
    "--output-dir", type=click.Path(path_type=Path), default=Path("runs"), help="The run directory of the job."
)
@cloup.option("--no-probe", is_flag=True, help="Do not train a few steps to estimate the time.")
@recipe_options("model", "data", "training")
@set_option
@output_options
def doctor(
    recipe: str | None, output_dir: Path, no_probe: bool, assignments: tuple[str, ...], as_json: bool, **flags: Any
) -> None:
    """Check this machine, and estimate how long a job takes.

    Shows what the machine has and what a job will choose on it. Takes a recipe and flags like `s140 train`. Shows
    which tokens are present, never their values. Exit code 0: the job can run; 1: it would fail, for the reasons
    shown.
    """
    chosen = resolve_recipe(recipe or "bert-base-100k", flags, assignments)
    with stdout_kept_clean():
        import sentiment140_bert

        report = sentiment140_bert.doctor(chosen, output_dir, measure=not no_probe)
    if as_json:
        print_json(report)
    else:
        sections = _list_sections(report)
        print_table([["" if at else title, line] for title, lines in sections for at, line in enumerate(lines)])
    click.get_current_context().exit(0 if report["ready"] else 1)


def _list_sections(report: Checkup) -> Iterator[tuple[str, list[str]]]:
    yield "machine", list(_describe_machine(report["machine"]))
    disk, trackers = report["disk"], report["trackers"]
    needed = f", the job needs {_format_gib(disk['needed'])}" if disk["needed"] else ""
    free = f"{_format_gib(disk['free'])} free for runs{needed}; {_format_gib(disk['cache_free'])} free for the cache"
    yield "disk", [free]
    logins = "; ".join(f"{name}: {'yes' if here else 'no'}" for name, here in report["logins"].items())
    yield "tokens", [logins]
    installed, used = (", ".join(trackers[name]) or "none" for name in ("installed", "used"))
    yield "trackers", [f"installed: {installed}; this job uses: {used}"]
    packages = report["packages"]
    wrong = [package for package in packages if not package["fits"]]
    lines = [f"{package['name']} {package['installed']}, not {package['wanted']}" for package in wrong]
    right = f"{len(packages) - len(wrong)} of {len(packages)} packages are in their supported range"
    yield "versions", [right, *lines]
    yield "sources", [f"{kind} {source['name']}: {source['remark']}" for kind, source in report["sources"].items()]
    if report["choice"]:
        yield "choice", list(_describe_choice(report["choice"]))
    if report["probe"]:
        yield "probe", list(_describe_probe(report["probe"]))
    if report["remarks"]:
        yield "remarks", report["remarks"]
    yield "verdict", ["ready"] if report["ready"] else [f"not ready: {problem}" for problem in report["problems"]]


def _describe_machine(machine: ExaminedMachine) -> Iterator[str]:
    memory = f", {_format_gib(machine['memory'])} memory" if machine["memory"] else ""
    yield f"{machine['cpu']}, {machine['cores']} cores{memory}; {machine['system']}, Python {machine['python']}"
    build = f"CUDA {machine['torch_cuda']}" if machine["torch_cuda"] else "CPU"
    yield f"torch {machine['torch']}, {build} build"
    gpu, driver = machine["gpu"], machine["driver"]
    if gpu:
        yield (
            f"{gpu['name']}, {_format_gib(gpu['memory_total'])} ({_format_gib(gpu['memory_free'])} free), "
            f"compute capability {gpu['compute_capability']}"
        )
    else:
        yield "no GPU that torch can use"
    if driver["version"]:
        yield f"NVIDIA driver {driver['version']}, up to CUDA {driver['cuda'] or 'unknown'}"


def _describe_choice(choice: Choice) -> Iterator[str]:
    yield f"precision {choice['precision']} ({choice['why']}), optimizer {choice['optim']}, 1 process"
    size, accumulated = choice["per_device_train_batch_size"], choice["gradient_accumulation_steps"]
    smaller = ", halved where it does not fit" if choice["auto_find_batch_size"] else ""
    batches = f"{accumulated} batches of {size}" if accumulated > 1 else f"a batch of {size}"
    yield f"{size * accumulated} tweets a step, in {batches}{smaller}"


def _describe_probe(probe: JobEstimate) -> Iterator[str]:
    from sentiment140_bert.text import format_duration

    job, seconds, batch, usage = probe["job"], probe["seconds"], probe["batch"], probe["usage"]
    yield (
        f"about {format_duration(seconds['total'])} "
        f"({format_duration(seconds['low'])} to {format_duration(seconds['high'])}) for "
        f"{job['steps']:,} steps on {job['train']:,} tweets, of which scoring {format_duration(seconds['scoring'])}, "
        f"{job['saves']} checkpoints {format_duration(seconds['saving'])}"
    )
    yield (
        f"{probe['tweets_per_second']:,.0f} tweets/s; {probe['step']['median']:.3g} s a step (median of "
        f"{probe['step']['measured']}), parts of {batch['per_device']} tweets"
    )
    gpu = usage["gpu"]
    if gpu:
        yield f"peak GPU memory {_format_gib(gpu['memory_reserved_peak'])} of {_format_gib(gpu['memory_total'])}"
    if usage["memory_peak"]:
        yield f"peak memory {_format_gib(usage['memory_peak'])}; a checkpoint takes {_format_gib(probe['checkpoint'])}"
    yield "; ".join(["random weights of the model's shape", *probe["assumed"]])


def _format_gib(mib: float) -> str:
    return f"{mib / 1024:.1f} GiB"
