"""Download one file over HTTP: resume where it broke off, retry when the server is busy, and check the hash."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import pooch
import requests
from tqdm import tqdm

_TRY_AGAIN = (408, 425, 429, 500, 502, 503, 504)
_PARTIAL, _NOTHING_LEFT = 206, 416  # status codes for a request for the rest of a file
_LONGEST_WAIT = 300.0  # seconds between two attempts
_CHUNK = 1 << 15  # bytes; at most this much is lost when a connection breaks
_TIMEOUT = (10, 60)  # seconds to connect, and to wait for the next byte


@dataclass(frozen=True, slots=True)
class Patience:
    """Number of retries, and the seconds before the first one; each wait is twice as long as the one before."""

    n_retries: int
    first_wait: float

    def wait(self, attempt: int, response: requests.Response | None) -> None:
        """Wait before the next attempt, for as long as the server asks if it does."""
        asked = (response.headers.get("Retry-After") or "") if response is not None else ""
        seconds = float(asked) if asked.isdigit() else self.first_wait * 2**attempt
        time.sleep(min(seconds, _LONGEST_WAIT))


def download(url: str, path: Path, *, known_hash: str | None, patience: Patience, verbose: int) -> str:
    """Download a file unless it exists, check it, and return its SHA-256.

    An interrupted download leaves a ``.part`` file next to it, which is resumed. If the complete file then fails the check,
    it is downloaded once more from the start.
    """
    part = part_of(path)
    was_begun = part.exists()
    try:
        _retrieve(url, path, part, known_hash, patience, verbose)
    except ValueError as error:  # raised by pooch if the hash differs
        if not was_begun:
            raise ValueError(
                f"{url} does not match its hash: {error} If the organisers replaced it, pass its new hash in the table of "
                "`archives`, or delete its line in hashes.json next to the downloaded files; see fetch_dcase."
            ) from error
        _retrieve(url, path, part, known_hash, patience, verbose)
    return str(pooch.file_hash(str(path), alg="sha256"))


def part_of(path: Path) -> Path:
    """Path of the partial download of a file."""
    return path.with_name(path.name + ".part")


def size_of(url: str, patience: Patience) -> int | None:
    """Size of a file in bytes as stated by the server, or None if it does not state it."""
    try:
        with _request("HEAD", url, {}, patience) as response:
            length = response.headers.get("Content-Length", "")
    except FileNotFoundError:
        return None
    return int(length) if length.isdigit() else None


def _retrieve(url: str, path: Path, part: Path, known_hash: str | None, patience: Patience, verbose: int) -> None:
    def fetch(url: str, output_file: str, _: Any) -> None:
        _fetch_rest(url, part, patience, verbose)
        part.replace(output_file)

    with _quiet_pooch():
        pooch.retrieve(url, known_hash=known_hash, fname=path.name, path=path.parent, downloader=fetch)


def _fetch_rest(url: str, part: Path, patience: Patience, verbose: int) -> None:
    """Append to a partial file until it is complete; an attempt that received data restarts the count of failures."""
    attempt = 0
    while True:
        before = part.stat().st_size if part.exists() else 0
        try:
            _append(url, part, before, patience, verbose)
        except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
            attempt = attempt + 1 if part.stat().st_size <= before else 1
            if attempt > patience.n_retries:
                size = part.stat().st_size
                raise ConnectionError(
                    f"{url} broke off after {size} bytes, {attempt} times in a row: {error}. A new call resumes from there."
                ) from error
            patience.wait(attempt - 1, None)
        else:
            return


def _append(url: str, part: Path, begin: int, patience: Patience, verbose: int) -> None:
    headers = {"Range": f"bytes={begin}-"} if begin else {}
    with _request("GET", url, headers, patience) as response, part.open("ab", buffering=0) as file:
        if response.status_code == _NOTHING_LEFT:
            return  # the partial file is already complete
        if response.status_code != _PARTIAL:
            begin = 0
            file.truncate(0)
        length = response.headers.get("Content-Length", "")
        total = begin + int(length) if length.isdigit() else None
        with _bar(part.stem, begin, total, verbose) as progress:
            for chunk in response.iter_content(_CHUNK):
                _write(file, chunk, part)
                progress.update(len(chunk))
        if total is not None and file.tell() < total:
            raise requests.ConnectionError(f"received {file.tell()} of {total} bytes")


def _bar(name: str, begin: int, total: int | None, verbose: int) -> tqdm:
    return tqdm(
        desc=name,
        initial=begin,
        total=total,
        unit="B",
        unit_scale=True,
        disable=verbose < 1,
        leave=False,
        dynamic_ncols=True,
    )


def _write(file: BinaryIO, chunk: bytes, part: Path) -> None:
    try:
        rest = memoryview(chunk)
        while rest:
            rest = rest[file.write(rest) :]
    except OSError as error:
        raise OSError(
            error.errno,
            f"{error.strerror} while writing {part}; the data received is kept for a new call to resume from",
        ) from error


def _request(method: str, url: str, headers: dict[str, str], patience: Patience) -> requests.Response:
    """Send a request, and retry while the server is busy or unreachable."""
    attempt = 0
    while True:
        response, problem = _one_request(method, url, headers)
        if response is not None and response.status_code not in _TRY_AGAIN:
            break
        if attempt == patience.n_retries:
            raise ConnectionError(f"{url} could not be fetched in {attempt + 1} attempts: {problem}. Try again later.")
        patience.wait(attempt, response)
        attempt += 1
    if response.status_code >= 400 and response.status_code != _NOTHING_LEFT:
        raise FileNotFoundError(
            f"{url}: {problem}. If the file has moved, pass its new URL in `archives`, see fetch_dcase."
        )
    return response


def _one_request(method: str, url: str, headers: dict[str, str]) -> tuple[requests.Response | None, str]:
    """The response, or None if there is none, and a description of the outcome."""
    headers = {"Accept-Encoding": "identity", **headers}
    try:
        response = requests.request(method, url, headers=headers, stream=True, timeout=_TIMEOUT, allow_redirects=True)
    except requests.TooManyRedirects as error:
        raise ConnectionError(
            f"{url} leads from one address to the next without end: {error} If the file has moved, pass its new URL in "
            "`archives`, see fetch_dcase."
        ) from error
    except (requests.ConnectionError, requests.Timeout) as error:
        return None, str(error)
    return response, f"status {response.status_code} {response.reason}"


@contextmanager
def _quiet_pooch() -> Iterator[None]:
    """Silence the log messages of pooch, which go to stderr."""
    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)
