"""The numbers and names of which the schemas are made, and the check of a file's content against its schema."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, TypeVar, cast

from pydantic import Field, TypeAdapter, ValidationError

from sentiment140_bert.errors import RunError

Schema = TypeVar("Schema")

Number = Annotated[float, Field(allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=-1e-9, le=1 + 1e-9)]  # sums of rounded numbers may be off by this much
Count = Annotated[int, Field(ge=0)]
Commit = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
REPO_ID = r"[\w.-]{1,96}/[\w.-]{1,96}"
RepoId = Annotated[str, Field(pattern=f"^{REPO_ID}$")]


@cache
def _build_adapter(schema: Any) -> TypeAdapter[Any]:
    adapter: TypeAdapter[Any] = TypeAdapter(schema)
    return adapter


def check_schema(content: Any, schema: type[Schema], file: str, hint: str = "") -> Schema:
    """Return ``content`` itself, which holds what ``schema`` requires, and perhaps more.

    Args:
        content: What was read.
        schema: A type of this package.
        file: The name of the file, for the error.
        hint: What to do about a wrong one.

    Raises:
        RunError: It does not; the message names the first few places.
    """
    try:
        _build_adapter(cast(Any, schema)).validate_python(content, strict=True)
    except ValidationError as error:
        problems = [
            f"{'.'.join(map(str, detail['loc'])) or 'as a whole'}: {detail['msg']}" for detail in error.errors()[:3]
        ]
        raise RunError(
            f"{file} does not have the format of this version: {'; '.join(problems)}.",
            hint or "Is it damaged, or of an older version? A run is scored again with `s140 evaluate RUN`.",
        ) from None
    return cast(Schema, content)


def pick(content: Any, *keys: str) -> Any:
    """Return what is under these keys of nested mappings; None without one of them."""
    for key in keys:
        content = content.get(key) if isinstance(content, dict) else None
    return content
