"""Plain values in untrusted YAML, read in time and memory that its length bounds."""

from __future__ import annotations

import re
from typing import Any

import yaml

MOST_BITS = 14_000  # of an integer: 4,214 digits
LONGEST = 200_000  # characters; a recipe has 3,000
MOST_VALUES = 100_000  # those that a name repeats counted each time


class _Plain(yaml.SafeLoader):
    """Values only: no tags, no aliases (ten lines of them can mean a billion values) and no duplicate keys."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        repeats = isinstance(event, yaml.AliasEvent)
        if repeats:
            raise yaml.constructor.ConstructorError(
                None, None, "aliases (*name) are not supported; write the part out again", event.start_mark
            )
        if getattr(event, "tag", None) is not None:
            raise yaml.constructor.ConstructorError(
                None, None, f"tags are not supported: {event.tag}", event.start_mark
            )
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                name = self.construct_object(key, deep=True)
                if name in names:
                    raise yaml.constructor.ConstructorError(None, None, f"duplicate key {name}", node.start_mark)
                names.add(name)
        return super().construct_mapping(node, deep)


class _Writer(yaml.SafeDumper):
    """No anchors; line breaks other than LF escaped, which PyYAML would read as spaces."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = '"' if any(sign in text for sign in "\x85\u2028\u2029") else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Writer.add_representer(str, _represent_text)


class _Repeating(yaml.SafeLoader):
    """Safe YAML without ``<<``, which can copy mappings into mappings any number of times.

    Scalars are typed where YAML 1.1 and 1.2, which the Hub reads, agree: ``no``, ``12:30:00`` and ``01234`` are texts.
    """

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        for key, _ in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                raise yaml.constructor.ConstructorError(None, None, "<< is not supported", key.start_mark)


AGREED = {
    "bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    "int": (r"[-+]?(?:0|[1-9][0-9]*)|0x[0-9a-fA-F]+", "-+0123456789"),
    "float": (
        r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+][0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+0123456789.",
    ),
}
_Repeating.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag.rpartition(":")[2] not in AGREED]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _name, (_pattern, _first) in AGREED.items():
    _Repeating.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", re.compile(rf"(?:{_pattern})\Z"), list(_first))


def _read_integer(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    """Read an integer that can be written again: Python refuses more than 4,300 digits, read in base 16 or 60, too."""
    value = int(loader.construct_yaml_int(node))
    if value.bit_length() > MOST_BITS:
        raise yaml.constructor.ConstructorError(None, None, "the number is too long", node.start_mark)
    return value


for _loader in (_Plain, _Repeating):
    _loader.add_constructor("tag:yaml.org,2002:int", _read_integer)


def load(text: str, repeated: bool = False) -> Any:
    """Return the value of a YAML document.

    Args:
        text: One document.
        repeated: Read anchors and standard tags, too; what they repeat are then the same objects.

    Raises:
        ValueError: It cannot be read; the sentence says why.
    """
    if len(text) > LONGEST:
        raise ValueError(f"it has {len(text):,} characters, more than the {LONGEST:,} that are read")
    try:
        content = yaml.load(text, _Repeating if repeated else _Plain)  # noqa: S506 - both are SafeLoaders
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except (yaml.YAMLError, ValueError, OverflowError, TypeError, KeyError, AttributeError) as error:
        # PyYAML raises the last four for wrong dates, numbers and tags.
        raise ValueError(" ".join(str(error).split())[:500] or "a value does not match its type") from None
    if repeated and _count_values(content) > MOST_VALUES:
        raise ValueError("it is too large")
    return content


def dump(plain: Any, allow_unicode: bool = True) -> str:
    """Return YAML that :func:`load` reads as the same value."""
    return yaml.dump(plain, Dumper=_Writer, sort_keys=False, allow_unicode=allow_unicode, width=110)


def _count_values(content: Any) -> int:
    """Count the values in parsed YAML; at most little more than the limit."""
    count, waiting = 0, [content]
    while waiting and count <= MOST_VALUES:
        part = waiting.pop()
        count += 1
        waiting += part.values() if isinstance(part, dict) else part if isinstance(part, list) else []
    return count
