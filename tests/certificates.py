"""Certificates for the tests, made on the spot with the openssl command: an authority, servers good and bad, a client."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Pair:
    """A certificate, its private key, and both in one file, which is how a Java broker wants it."""

    certificate: Path
    key: Path

    @property
    def both(self) -> Path:
        path = self.key.with_suffix(".both.pem")
        path.write_text(self.key.read_text() + self.certificate.read_text())
        return path


def authority(folder: Path, name: str = "authority") -> Pair:
    pair = Pair(folder / f"{name}.pem", folder / f"{name}.key")
    _openssl(
        *("req", "-x509", "-newkey", "rsa:2048", "-noenc", "-days", "2", "-subj", f"/CN={name}"),
        *("-addext", "keyUsage=critical,keyCertSign", "-keyout", str(pair.key), "-out", str(pair.certificate)),
    )
    return pair


def signed(by: Pair, name: str, alternative: str = "IP:127.0.0.1", days: int = 2, key_password: str = "") -> Pair:
    """A certificate for `alternative`; negative `days`: expired. `key_password` protects its key."""
    folder = by.key.parent
    pair, request, extras = Pair(folder / f"{name}.pem", folder / f"{name}.key"), folder / f"{name}.csr", folder / f"{name}.ext"
    locked = ("-passout", f"pass:{key_password}") if key_password else ("-noenc",)
    _openssl(*("req", "-newkey", "rsa:2048", *locked, "-subj", f"/CN={name}", "-keyout", str(pair.key), "-out", str(request)))
    extras.write_text(f"subjectAltName={alternative}\n")
    _openssl(
        *("x509", "-req", "-in", str(request), "-CA", str(by.certificate), "-CAkey", str(by.key), "-CAcreateserial"),
        *("-days", str(days), "-extfile", str(extras), "-out", str(pair.certificate)),
    )
    return pair


def _openssl(*arguments: str) -> None:
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
