"""Keep what a command writes from replacing what it reads, or a file of a run, a model or an export."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import cloup

from sentiment140_bert.errors import S140Error
from sentiment140_bert.files import expand_output, expand_path, keep_new
from sentiment140_bert.run import RunDir, saved_recipe

SOURCES = ("dataset", "labels_file", "manual_test", "drop_suspects")  # settings of a run that name files
MARKS = ("export.json", "study.json")  # files that only an export and a tuning have
REPLACES = "sentiment140_bert.replaces"  # the key of a context's flag --overwrite


class OutputFile(click.Path):
    """The type of a parameter that names a file to write, which :func:`check_outputs` knows by it."""

    def __init__(self) -> None:
        super().__init__(path_type=Path, dir_okay=False)


def _note_overwrite(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    ctx.meta[REPLACES] = value


overwrite_option = cloup.option(
    "--overwrite", is_flag=True, expose_value=False, callback=_note_overwrite, help="Replace a file that exists."
)


def check_outputs(ctx: click.Context) -> None:
    """Check all parameters of the type :class:`OutputFile` against all other ones.

    No file is replaced without :data:`overwrite_option`. What a link leads to is written, unless the link is in a
    folder that another command wrote.

    Raises:
        S140Error: A file to write is an input, another output, part of a folder that another command wrote, a link to
            nothing, or exists.
    """
    outputs = [
        param for param in ctx.command.params if isinstance(param.type, OutputFile) and ctx.params[str(param.name)]
    ]
    for param in outputs:
        output: Path = ctx.params[str(param.name)]
        path = expand_output(output)
        target, link = path.resolve(), expand_path(output.parent).resolve() / output.name
        others = [value for name, value in ctx.params.items() if name != param.name]
        places = [place for place in (target, link) if os.path.lexists(place)]
        if any(_is_owned(folder) for place in places for folder in place.parents[:4]):
            raise S140Error(
                f"{output} is part of a run, a model, an export or a study.", "Choose another file to write."
            )
        if any(_holds(name, target) for name in _list_names(others)):
            raise S140Error(f"{output} is an input and would be overwritten.", "Choose another file to write.")
        replaces = bool(ctx.meta.get(REPLACES))
        if target.exists() and not replaces:
            raise S140Error(f"{output} exists.", "Name another file, or pass --overwrite.")
        keep_new(target, not replaces)
        ctx.params[str(param.name)] = path


def _list_names(values: list[Any]) -> Iterator[str | Path]:
    """Yield all texts and paths, and the files that the runs among them were trained on."""
    for value in values:
        if isinstance(value, tuple):
            yield from _list_names(list(value))
        elif isinstance(value, str | Path) and value != "":
            yield "/dev/stdin" if value == "-" else value
            if _is_run(value):
                data = saved_recipe(value).data
                yield from (name for name in (getattr(data, setting) for setting in SOURCES) if name)


def _is_run(name: str | Path) -> bool:
    try:
        return RunDir(Path(name).expanduser()).is_run()
    except (OSError, ValueError, RuntimeError):  # no file can have such a name
        return False


def _holds(name: str | Path, target: Path) -> bool:
    """Return True if a name is that of the file, or of a folder with it."""
    try:
        path = Path(name).expanduser().resolve()
        return path == target or (target.exists() and path.is_dir() and target.is_relative_to(path))
    except (OSError, ValueError, RuntimeError):
        return False


def _is_owned(folder: Path) -> bool:
    """Return True for the folder of a run, a model, an export, a tuning or a learning curve; a user's own recipe.yaml
    makes none."""
    has_model = (folder / "config.json").is_file() and any(folder.glob("*token*.json"))
    has_points = (folder / "plan.json").is_file() and (folder / "points").is_dir()
    return RunDir(folder).is_run() or has_model or has_points or any((folder / name).is_file() for name in MARKS)
