"""The target ``recipe``: a file is a recipe that can be written and read again, or a sentence says what is wrong."""

from __future__ import annotations

from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from random import Random
from typing import Any

from fuzzing.mutation import PIECES, mutated
from sentiment140_bert.errors import RecipeError, S140Error
from sentiment140_bert.recipe import SECTION_BY_KEY, SECTIONS, Recipe, list_recipes, load_recipe, parse_recipe
from sentiment140_bert.trust import plain_yaml

HOSTILE = [
    "a: &a [x, x]\nb: &b [*a, *a]\nmodel: {model_name_or_path: *b}\n",
    "model: &m {model_revision: x}\ndata:\n  <<: [*m, *m]\n",
    "description: !!python/object/apply:os.system [id]\n",
    "training: {learning_rate: .nan, seed: 1e999, num_train_epochs: .inf}\n",
    *("training:\n  seed: 0b_\n  eval_steps: 2001-99-99\n", "training:\n  seed: 1\n  seed: 2\n"),
    "data: {dataset: ~, max_length: 1_0, max_samples: 0x1F, split_seed: 1:30, encoding: 0o7}\n",
    *("? [a, b]\n: 1\n? {c: d}\n: 2\n", "- a\n- b\n"),
    *("description: |\n  two\n  lines\x85and \u2028 more\nmodel: null\n", "--- a\n--- b\n"),
]
SIGNS = [
    *(b"*a", b"&a ", b"!!int ", b"!!timestamp ", b"!x ", b"<<: ", b"? ", b"- ", b": ", b"|", b">", b"'", b'"'),
    *(b"%TAG ", b"..."),
]
SIGNS += [
    *(b"9" * 5000, b"[" * 3000, b"{a: " * 500, b"\t", b"  ", b"\n", b"null", b"yes", b"no", b"1e999", b".nan"),
    b"2001-99-99",
]
SIGNS += [
    *(b"0b_", b"0x_", b"-.", b"1:60", b"'9999999999999999999999'", b"2001-01-01 00:00:00 +99:99", b"\xff", b"\0"),
    b"\xc2\x85",
]
SIGNS += [f"{name}: ".encode() for name in SECTION_BY_KEY] + [
    b"fp16_full_eval: ",
    b"lr_scheduler_kwargs: {a: ",
    b"output_dir: x",
]
WORDS = [item for item in PIECES if item.isascii() and b"\0" not in item]
OTHERS = [
    *("fp16_full_eval", "lr_scheduler_kwargs", "output_dir", "learning_rat", "adam_beta1", "model", "1", "null", "~"),
]
VALUES = [
    *("1", "0", "-1", "0.5", "2e-5", "true", "no", "null", "epoch", "steps", "none", "wandb", "[a, b]", "{a: 1}"),
    "''",
]
VALUES += [
    *("text", "'two words '", "'12'", "1e400", ".nan", "-.inf", "9" * 400, "'" + "9" * 5000 + "'", "2009-04-06"),
    "0b_",
]
VALUES += [
    *("a=positive,b=drop", "'0=negative,0=positive'", "'\u0662'", '"\\u0085\\ud800 x"', '"\\0"', "1_000", "0x1F"),
    *("1:30", ".5e1"),
]
VALUES += [
    *("[[[[[]]]]]", "|\n    some\n\n     more \n", ">\n    some\n    more", '" \\x1b[31m"', "'# x'", "- a", "'- a'"),
    "'a: b'",
]


class RecipeFiles:
    """The bytes of a recipe's file."""

    name = "recipe"

    def __init__(self, folder: Path) -> None:
        self.file = folder / "recipe.yaml"
        packaged = [files("sentiment140_bert.recipes").joinpath(f"{name}.yaml").read_bytes() for name in list_recipes()]
        with suppress(RecipeError):
            parse_recipe({"training": {"optim": "", "no_such": 1}})  # so that libraries are loaded before time counts
        self.seeds = [*packaged, Recipe().to_yaml().encode(), *(item.encode() for item in HOSTILE)]

    def draw(self, random: Random) -> bytes:
        """A mutated recipe."""
        if random.random() < 0.6:
            return self._filled_in(random)
        return mutated(random.choice(self.seeds), random, self.seeds, WORDS + SIGNS)

    def _filled_in(self, random: Random) -> bytes:
        """A recipe whose lines are well formed, with values that may be anything."""
        lines = []
        for section in random.sample(sorted(SECTIONS), random.randint(1, 4)):
            names = [name for name, home in SECTION_BY_KEY.items() if home == section]
            keys = random.sample(names, min(len(names), random.randint(1, 5))) + random.choices(
                OTHERS, k=random.randint(0, 1)
            )
            lines += [f"{section}:", *(f"  {key}: {random.choice(VALUES)}" for key in dict.fromkeys(keys))]
        return "\n".join([f"description: {random.choice(VALUES)}", *lines]).encode()

    def check(self, raw: bytes) -> str:
        """Reads it, and what is written of it."""
        self.file.write_bytes(raw)
        try:
            recipe = load_recipe(str(self.file))
        except RecipeError as error:
            if not error.problems or max(map(len, error.problems)) > 1_500:
                raise AssertionError("a long sentence") from error
            return "error: not valid YAML" if "not valid YAML" in error.message else "error: wrong keys or values"
        except S140Error as error:
            if "cannot be read" not in error.message and "more than the" not in error.message:
                raise AssertionError(error.message) from error
            return "error: no text"
        again = parse_recipe(plain_yaml.load(recipe.to_yaml()))
        assert _same(again.to_dict(), recipe.to_dict()), "another recipe when it is written and read"
        return "a recipe"


def _same(one: Any, other: Any) -> bool:
    """Compare as ``==`` does, but NaN equals NaN."""
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(map(_same, one.values(), other.values()))
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other) or (one != one and other != other)
