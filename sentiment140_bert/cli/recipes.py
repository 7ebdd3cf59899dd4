"""``s140 recipes``"""

from __future__ import annotations

import json
from pathlib import Path

import click
import cloup

from sentiment140_bert.cli.help import Command
from sentiment140_bert.cli.options import output_options
from sentiment140_bert.cli.output import print_json, print_result, print_table, say
from sentiment140_bert.cli.outputs import OutputFile, overwrite_option
from sentiment140_bert.files import write_text
from sentiment140_bert.recipe import build_schema, list_recipes, load_recipe, read_recipe


@cloup.group()
def recipes() -> None:
    """List, show, copy and check recipes."""


@recipes.command()
@output_options
def ls(as_json: bool) -> None:
    """List the packaged recipes."""
    descriptions = {name: load_recipe(name).description for name in list_recipes()}
    if as_json:
        print_json(descriptions)
    else:
        print_table([[name, text.split(". ")[0].split("; ")[0].rstrip(".")] for name, text in descriptions.items()])


@recipes.command()
@click.argument("name")
@cloup.option("--resolved", is_flag=True, help="Include every default.")
@output_options
def show(name: str, resolved: bool, as_json: bool) -> None:
    """Print the recipe NAME (or a file)."""
    recipe = load_recipe(name)
    if as_json:
        print_json(recipe.to_dict())
    else:
        say(recipe.to_yaml() if resolved else read_recipe(name), nl=False)


@recipes.command("cp", cls=Command)
@click.argument("name")
@click.argument("target", type=OutputFile())
@overwrite_option
@output_options
def copy(name: str, target: Path, as_json: bool) -> None:
    """Copy the recipe NAME to the file TARGET, to change it."""
    write_text(target, read_recipe(name))
    result = {"recipe": name, "target": str(target)}
    print_result(result, as_json, lambda _: say(f"{target}: change it, then s140 train --recipe {target}"))


@recipes.command()
@click.argument("file")
@output_options
def validate(file: str, as_json: bool) -> None:
    """Check a recipe FILE, and list all that is wrong."""
    load_recipe(file)
    print_result({"recipe": file, "valid": True}, as_json, lambda _: say(f"{file}: valid"))


@recipes.command()
@output_options
def schema(as_json: bool) -> None:
    """Print the JSON Schema of a recipe, for editors.

    Editors complete and check a recipe by it. Save it as recipe.schema.json, and begin a recipe with the line
    # yaml-language-server: $schema=recipe.schema.json
    """
    print_result(build_schema(), as_json, lambda schema: say(json.dumps(schema, indent=2, ensure_ascii=False)))
