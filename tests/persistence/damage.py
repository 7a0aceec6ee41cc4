"""Damaged and forged model files, and their loading in a process whose memory is measured."""

import hashlib
import json
import sys
import zipfile
from pathlib import Path

import numpy as np

DIGEST = b'"sha256":"'


def parts(content):
    """Header as a dict, and the bytes of the arrays."""
    end = 8 + int.from_bytes(content[:8], "little")
    return json.loads(content[8:end]), content[end:]


def signed(header, body, *, pad=b""):
    """A file of these parts with a checksum that is right, as a forger would make it."""
    header["__metadata__"]["sha256"] = "0" * 64
    text = json.dumps(header, separators=(",", ":")).encode() + pad
    text = len(text).to_bytes(8, "little") + text
    digest = hashlib.sha256(text + body).hexdigest().encode()
    return text.replace(DIGEST + b"0" * 64, DIGEST + digest) + body


def with_tree(content, change):
    """The file with a changed tree of objects and a checksum that is right."""
    header, body = parts(content)
    tree = json.loads(header["__metadata__"]["tree"])
    header["__metadata__"]["tree"] = json.dumps(change(tree) or tree)
    return signed(header, body)


def flips(content, rng):
    """Files with one byte changed: all of the length and of the checksum, and of texts, names, shapes and numbers."""
    end = 8 + int.from_bytes(content[:8], "little")
    digest = content.index(DIGEST) + len(DIGEST)
    positions = [
        *range(8),
        *range(digest, digest + 64),
        *rng.integers(8, end, 900),
        *rng.integers(end, len(content), 550),
    ]
    for position in positions:
        changed = bytearray(content)
        changed[position] ^= 1 << int(rng.integers(8))
        yield bytes(changed)
    for bit in range(8):
        yield bytes([content[0] ^ 1 << bit]) + content[1:]


def cuts(content, rng):
    """Files that end early: at each edge of the structure, and anywhere; and such as are continued."""
    header, body = parts(content)
    start = len(content) - len(body)
    edges = [start + edge for name, part in header.items() if name != "__metadata__" for edge in part["data_offsets"]]
    edges = {*range(10), start - 1, start, start + 1, *edges, len(content) - 1} - {len(content)}
    for length in [*sorted(edges), *rng.integers(0, len(content), 400)]:
        yield content[:length]
    for tail in (b"\0", b"{}", content):
        yield content + tail


def forgeries(content, folder):
    """Files with a right checksum that say what a model file must not."""
    for name in (
        "os.system",
        "builtins.eval",
        "skasd.cli._app.main",
        "subprocess.Popen",
        "numpy.load",
        "",
        None,
        3,
        [],
    ):
        yield with_tree(content, lambda tree, name=name: tree.update(object=name))
        yield with_tree(content, lambda tree, name=name: {"function": name})
        yield with_tree(content, lambda tree, name=name: {"class": name})
        yield with_tree(content, lambda tree, name=name: {"module": name, "state": {}})
        call = {"partial": {"function": name}, "args": {"list": ["ls"]}, "keywords": {"dict": [], "ordered": False}}
        yield with_tree(content, lambda tree, call=call: call)
    for node in (
        {},
        [],
        3,
        None,
        "text",
        {"same": 99},
        {"tuple": [1]},
        {"list": "abc"},
        {"unknown": 1},
        {"array": "none"},
    ):
        yield with_tree(content, lambda tree, node=node: {"tuple": [node]})
    for attribute in ("__class__", "__dict__", "a.b", ""):
        yield with_tree(content, lambda tree, attribute=attribute: tree["state"].update({attribute: None}))
    yield with_tree(content, lambda tree: tree.update(state=[]))
    for method in ("fit", "score_samples", "_anomaly_score"):
        yield with_tree(content, lambda tree, method=method: tree["state"].update({method: None}))
    yield from _of_values(content)
    yield from _of_header(content)
    yield b"(cos\nsystem\nS'ls'\ntR."
    with (
        zipfile.ZipFile(folder / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("model", "w", force_zip64=True) as stream,
    ):
        for _ in range(256):
            stream.write(bytes(2**20))
    yield (folder / "bomb.zip").read_bytes()


def _of_values(content):
    """Forged values: what compiled code would follow, take for ever, or fill the memory with."""
    yield with_tree(content, lambda tree: {"object": "sklearn.ensemble.IsolationForest", "id": 0, "state": {}})
    nodes = {
        "dict": [["state", {"dict": [["pos", 2_000_000_000]], "ordered": False, "id": 2}]],
        "ordered": False,
        "id": 1,
    }
    for kind in ("RandomState", "Generator"):
        node = {"generator": kind, "bits": "MT19937", "state": nodes, "id": 0}
        yield with_tree(content, lambda tree, node=node: node)
    yield with_tree(content, lambda tree: {"list": [{"array": "0", "axes": [0], "kind": "f"}] * 60, "id": 0})
    nested = {"tuple": [1], "id": 0}
    for number in range(40):
        nested = {"tuple": [nested, {"same": number}], "id": number + 1}
    yield with_tree(content, lambda tree: {"set": [nested], "id": 99})
    for about in ("{}", "3", "[" + "[]," * 600_000 + "[]]"):
        header, body = parts(content)
        header["__metadata__"]["about"] = about
        yield signed(header, body)


def _of_header(content):
    """Forged sizes, names and depths."""
    for factor in (2, 1000, 10**12):
        header, body = parts(content)
        header["0"]["shape"] = [length * factor for length in header["0"]["shape"]]
        yield signed(header, body)
        header, body = parts(content)
        header["0"]["data_offsets"][1] *= factor
        yield signed(header, body)
    for name in ("../../etc/passwd", "/dev/zero", "C:\\x"):
        header, body = parts(content)
        header[name] = header.pop("0")
        yield signed(header, body)
    for text in ("[" * 100_000, '{"list":' * 100_000, "1" * 10_000, "nonsense", ""):
        header, body = parts(content)
        header["__metadata__"]["tree"] = text
        yield signed(header, body)
    for format_ in ("2", "99", "x", ""):
        header, body = parts(content)
        header["__metadata__"]["format"] = format_
        yield signed(header, body)
    header, body = parts(content)
    yield signed(header, body, pad=b" " * 2**26)
    for length in (2**26, 2**40, 2**63):
        yield length.to_bytes(8, "little") + content[8:]


def main(path, folder):
    """Load all damaged files; print how many were refused, those that were not, and the memory that it took in MiB."""
    import skasd

    content, rng = path.read_bytes(), np.random.default_rng(0)
    skasd.load(path)
    damaged, refused, wrong, peak = folder / "damaged.skasd", 0, [], 0
    for kind in (flips(content, rng), cuts(content, rng), forgeries(content, folder)):
        number = -1
        for changed in kind:  # enumerate would keep each of them alive
            number += 1
            if changed == content:
                continue
            damaged.write_bytes(changed)
            del changed
            Path("/proc/self/clear_refs").write_text("5")  # the peak from here on
            try:
                skasd.load(damaged)
                wrong.append(f"{kind.__name__} {number} was loaded")
            except ValueError as error:
                refused += 1
                if str(damaged) not in str(error) or "\n" in str(error):
                    wrong.append(f"{kind.__name__} {number}: {error!r}")
            except Exception as error:
                wrong.append(f"{kind.__name__} {number}: {error!r}")
            peak = max(peak, int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) // 1024)
    sys.stdout.write(
        json.dumps({"refused": refused, "wrong": wrong[:20], "peak": peak, "torch": "torch" in sys.modules})
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
