"""Download the original archive once: resumed after a broken connection, verified, cached."""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.request
from pathlib import Path

from tqdm import tqdm

from sentiment140_bert.errors import DataError
from sentiment140_bert.files import hash_file, open_to_append, synchronize

STANFORD_URL = "https://cs.stanford.edu/people/alecmgo/trainingandtestdata.zip"
STANFORD_BYTES = 81_363_704
BLOCK = 1 << 20  # bytes


def download(url: str, target: Path, sha256: str, size: int, attempts: int = 4, timeout: float = 60.0) -> Path:
    """Fetch ``url`` into ``target`` unless a file with that sha256 is there already.

    What arrived before a connection broke is kept as ``*.part`` and continued, in this call or the next one.

    Args:
        url: http(s) address.
        target: File to write.
        sha256: Hexadecimal checksum that the whole file must have.
        size: Bytes of the whole file; no more are fetched.
        attempts: How often in a row a connection may break without a byte, before it is given up.
        timeout: Seconds without a byte before a connection counts as broken.

    Raises:
        DataError: The server cannot be reached, or what came is not the file.
    """
    if target.is_file() and hash_file(target) == sha256:
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    failures = 0
    while True:
        before, problem = _size(part), "the connection broke off"
        try:
            if _continue(url, part, size, timeout):
                break
        except (http.client.HTTPException, OSError, ValueError) as error:  # the last of an odd header
            problem = str(getattr(error, "reason", error)) or type(error).__name__
        failures = 0 if _size(part) > before else failures + 1
        if failures == attempts:
            raise DataError(
                f"{url} could not be downloaded: {problem}.",
                f"Run it again to continue the download, or fetch the file yourself and pass --dataset {target.name}.",
            )
        time.sleep(0.5 * failures)
    if hash_file(part) != sha256:
        part.unlink()
        raise DataError(f"{url} did not send the expected file (sha256 differs); it was removed.", "Try again.")
    synchronize(part)
    part.replace(target)
    return target


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def _continue(url: str, part: Path, size: int, timeout: float) -> bool:
    """Append the missing bytes of ``part``; return True when the server's last byte has arrived, or one too many."""
    have = _size(part)
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        response = urllib.request.urlopen(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # nothing is missing
            return True
        raise
    with response:
        if response.status != 206:
            have = 0
            part.unlink(missing_ok=True)
        length = response.length  # as http.client reads the header; None where it is absent or no number
        total = size if length is None else have + length
        with (
            open_to_append(part) as file,
            tqdm(desc="download", total=total, initial=have, unit="B", unit_scale=True, disable=None) as bar,
        ):
            while have <= size and (block := response.read(BLOCK)):
                file.write(block)
                have += len(block)
                bar.update(len(block))
        return have > size or length is None or have >= total
