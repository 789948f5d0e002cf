"""Holds a bill of materials to its lock file: the same packages in the same versions, no more and no fewer.

python deploy/check_sbom.py requirements.lock var/sbom.json [LOCK SBOM ...]
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

PIN = re.compile(r"(?m)^([A-Za-z0-9][\w.-]*)==([^\s;\\]+)")  # a line of a lock file, without its marker and hashes


def differences(lock: str, sbom: str) -> list[str]:
    """What only one of the two has, in sentences.

    >>> differences("six==1.17.0", '{"components": [{"name": "six", "version": "1.16.0"}]}')
    ['six 1.17.0 is locked and not in the bill', 'six 1.16.0 is in the bill and not locked']
    """
    locked = {(_plain(name), version) for name, version in PIN.findall(lock)}
    billed = {(_plain(each["name"]), each.get("version", "?")) for each in json.loads(sbom).get("components", ())}
    missing = [f"{name} {version} is locked and not in the bill" for name, version in sorted(locked - billed)]
    return missing + [f"{name} {version} is in the bill and not locked" for name, version in sorted(billed - locked)]


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()  # PEP 503


def main(arguments: list[str]) -> int:
    wrong = 0
    for lock, sbom in zip(arguments[::2], arguments[1::2], strict=True):
        text = Path(lock).read_text("utf-8")
        found = differences(text, Path(sbom).read_text("utf-8"))
        for each in found:
            print(f"{sbom}: {each}", file=sys.stderr)
        if not found:
            print(f"{sbom}: all {len(PIN.findall(text))} packages of {lock}")
        wrong += len(found)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
