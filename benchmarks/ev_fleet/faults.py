"""What can go wrong with a pack here: eight kinds of fault, each with a vehicle, an onset and a ramp of severity."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

Drawn = dict[str, tuple[tuple[float, float], tuple[float, float]]]

KINDS: Drawn = {
    # kind: range of the ramp in minutes, range of the final severity (unit in the comment)
    "internal_short": ((10.0, 40.0), (20.0, 60.0)),  # A leaked inside one cell; the last hours of a short, not its months
    "loose_connection": ((10.0, 40.0), (1.0e-3, 3.0e-3)),  # ohm of contact resistance in series with one cell
    "thermal_precursor": ((2.0, 8.0), (1.0, 3.5)),  # C/min of self-heating of one module
    "insulation_loss": ((10.0, 45.0), (3.0, 5.5)),  # natural log of the factor by which the insulation falls
    "soc_fault": ((0.2, 0.2), (0.08, 0.25)),  # jump of the state of charge that is reported
    "weak_cell": ((15.0, 45.0), (0.15, 0.35)),  # share of charge by which one cell runs ahead of the others
    "current_offset": ((0.2, 5.0), (25.0, 80.0)),  # A added by the current sensor
    "stuck_voltage": ((0.2, 0.2), (1.0, 1.0)),  # cell voltages and pack voltage repeat for ever
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One injected fault."""

    kind: str
    vehicle: int  # index in the fleet
    onset: int  # ms since the epoch
    ramp: float  # s from onset to full severity
    severity: float
    place: int  # cell that it strikes
    sign: int

    def share(self, time: int) -> float:
        """Part of the full severity that is reached, 0 to 1."""
        return float(np.clip((time - self.onset) / 1000.0 / self.ramp, 0.0, 1.0))

    def label(self, vin: str) -> dict[str, object]:
        """The line of the labels file."""
        return {**asdict(self), "vin": vin}


def draw(rng: np.random.Generator, kind: str, vehicle: int, onset: int, cells: int) -> Fault:
    """A fault of one kind with severity and ramp from its ranges."""
    (short, long), (mild, severe) = KINDS[kind]
    return Fault(
        kind,
        vehicle,
        onset,
        60.0 * float(rng.uniform(short, long)),
        float(rng.uniform(mild, severe)),
        int(rng.integers(cells)),
        int(rng.choice([-1, 1])),
    )
