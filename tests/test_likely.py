"""Whoever names the wrong format is told the right one."""

from __future__ import annotations

import gzip
from itertools import permutations
from pathlib import Path

import pytest
import zstandard

from dataflows.decode_command import decode_files
from dataflows.formats import FORMATS
from dataflows.likely import advice
from dataflows.settings_reader import load
from tests.wire import CONTEXT, VALID


def recording(path: Path, form: str) -> Path:
    """All valid messages of a format as they lie in a file; of the binary one, which has one in a file, the first."""
    if FORMATS[form].framing == "binary":
        path.write_bytes(VALID[form][0])
    else:
        lines = [message.hex().encode() if FORMATS[form].framing == "hex_lines" else message for message in VALID[form]]
        path.write_bytes(b"\n".join(lines))
    return path


@pytest.mark.parametrize(("form", "named"), list(permutations(FORMATS, 2)))
def test_every_format_is_recognised_under_every_other_name(form: str, named: str, tmp_path: Path) -> None:
    path = recording(tmp_path / "file", form)
    assert advice(path, named, CONTEXT) == f"it looks like {form}: write {path}={form}"


@pytest.mark.parametrize("content", [b"", b"{}\n" * 30, b"nonsense", b"\x00\xff" * 40, b"\xff,,,\n", b"\x01,,,\n"])
def test_what_is_none_of_them_is_not_guessed(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(content)
    assert advice(tmp_path / "file", "observation", CONTEXT) is None


@pytest.mark.parametrize("named", FORMATS)
@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"id,ts,lat,lon,v\n" + b"a,1741073400000,22.5,114.0,20\n" * 9, "CSV"),
        ("车辆,时间,纬度,经度,\u3000速度\t(m/s)\n粤B,1741073400000,22.5,114.0,20\n".encode(), "CSV"),
        (b"[" + b'{"id": "a", "v": 20},\n' * 999, "a JSON array"),
    ],
)
def test_what_is_no_lines_of_json_is_told_so(content: bytes, what: str, named: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(content)
    said = advice(tmp_path / "file", named, CONTEXT)
    assert said is not None
    assert said.startswith(f"it looks like {what}: write one ")


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    ("content", "what"),
    [
        ('{"id": "a", "ts": 1, "lat": 2, "lon": 3}\n'.encode("utf-16"), "it is in UTF-16"),
        (gzip.compress(b",,,,,,", mtime=0), "it is packed by gzip: give it a name that ends in .gz"),
        (zstandard.compress(b",,,,,,"), "it is packed by zstd: give it a name that ends in .zst"),
    ],
    ids=["UTF-16", "gzip", "zstd"],
)
def test_what_is_no_text_is_told_so(content: bytes, what: str, form: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(content)
    assert str(advice(tmp_path / "file", form, CONTEXT)).startswith(what)


def test_decode_says_it_before_it_counts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = recording(tmp_path / "file", "sensor")
    settings = load(None, {"privacy": {"key": "a key"}})
    assert decode_files([(path, "ode-json")], settings) == 1
    *_, said, count = capsys.readouterr().err.splitlines()
    assert (said, count) == (f"{path}: it looks like sensor: write {path}=sensor", f"{path}: rows 0, refused 3")
    decode_files([(path, "sensor")], settings)
    assert "looks like" not in capsys.readouterr().err
