"""Cuts the recording that `roadwatch demo` plays out of a labelled recording, so that it fits into the repository.

    python -m benchmarks.ev_fleet --demo-cut dataflows/demo/recording/ev.jsonl.zst
    python -m benchmarks.cut_recording

The first 34 minutes of motorway-sz-1: six incidents of four kinds, and nothing but traffic for the first six. Of the vehicles
that send, two in three are kept, which makes about one in seven of all that drive. The lines are as they were recorded.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator

import zstandard

from benchmarks.loops import intervals
from benchmarks.recordings import ABSENT, OPEN, ROOT

PLACE = OPEN / "motorway-sz-1"
BUNDLE = ROOT / "dataflows" / "demo" / "recording"
MINUTES = 34
KEPT = 170 / 256  # of the vehicles that send
HEADING = {"F": 70, "B": 250}  # degrees: the bearing of the road, and back
LABEL = ("id", "label", "kind", "start", "end", "t_clear", "lat", "lon", "heading")
SPACING = 2  # of the places along an affected stretch or a track, one in so many is kept


def main() -> None:
    if not PLACE.is_dir():
        raise SystemExit(ABSENT)
    start = int(json.loads((PLACE / "meta.json").read_text("utf-8"))["start_ms"])
    end = start + MINUTES * 60_000
    packed = {"observations.jsonl.zst": observations(end), "loops.csv.zst": loops(start, end)}
    for name, lines in packed.items():
        (BUNDLE / name).write_bytes(pack("".join(lines).encode()))
    (BUNDLE / "labels.jsonl").write_text("".join(labels(end)), "utf-8")
    for path in sorted(BUNDLE.iterdir()):
        print(f"{path.stat().st_size:>9,} bytes  {path.name}")


def observations(end: int) -> Iterator[str]:
    """The lines that arrived before `end` (ms), of the vehicles that are kept, in order of arrival."""
    with (PLACE / "events.jsonl.zst").open("rb") as file:
        for line in io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(file), "utf-8"):
            seen = json.loads(line)
            if seen["rx"] >= end:
                return
            if hashlib.blake2b(seen["id"].encode(), digest_size=1).digest()[0] < KEPT * 256:
                yield line


def loops(start: int, end: int) -> Iterator[str]:
    """One line for a station and 30 s, its lanes together and one by one, with spaces between them. SI units."""
    yield "time,interval_s,station,lat,lon,heading,volume_vph,occupancy,speed_m_s,lane_volumes_vph,lane_speeds_m_s\n"
    for interval in intervals(PLACE / "loops.csv"):
        time = start + 1000 * interval.end
        if time >= end:
            return
        speed = f"{interval.speed:.2f}" if interval.vehicles else ""
        yield f"{time},{interval.seconds},{interval.station},{interval.lat:.6f},{interval.lon:.6f},{HEADING[interval.road]},"
        volumes = " ".join(f"{volume}" for volume, _ in interval.by_lane)
        speeds = " ".join(f"{mps:.2f}" for _, mps in interval.by_lane)
        yield f"{interval.volume},{interval.occupancy:.4f},{speed},{volumes},{speeds}\n"


def labels(end: int) -> Iterator[str]:
    """The labels that begin before `end`, without the vehicles behind them."""
    for line in (PLACE / "truth.jsonl").read_text("utf-8").splitlines():
        whole = json.loads(line)
        if whole["start"] >= end:
            continue
        label = {name: whole[name] for name in LABEL if name in whole}
        label |= {name: whole[name][::SPACING] for name in ("affected", "track") if whole.get(name)}
        yield json.dumps(label, separators=(",", ":")) + "\n"


def pack(content: bytes) -> bytes:
    """The smallest that zstandard makes of it; matches are sought over all of it."""
    parameters = zstandard.ZstdCompressionParameters.from_level(19, window_log=26, enable_ldm=True)
    return zstandard.ZstdCompressor(compression_params=parameters).compress(content)


if __name__ == "__main__":
    main()
