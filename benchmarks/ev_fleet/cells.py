"""One cell: its open-circuit voltage, its resistance and its heat, for the two chemistries that most electric cars have."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

NMC, LFP = 0, 1

# Open-circuit voltage over state of charge in steps of 5 %. The shapes are the textbook ones: NMC/graphite climbs all the way,
# LFP/graphite is a plateau with a step near 65 % and steep ends.
SOC_GRID = np.linspace(0.0, 1.0, 21)
OCV_NMC = "3.00 3.36 3.45 3.50 3.54 3.57 3.59 3.61 3.63 3.65 3.68 3.72 3.77 3.82 3.87 3.92 3.97 4.02 4.07 4.12 4.18"
OCV_LFP = (
    "2.50 3.05 3.18 3.215 3.235 3.25 3.263 3.274 3.282 3.288 3.292 3.295 3.299 3.312 3.325 3.329 3.331 3.333 3.335 3.345 3.45"
)
OCV = np.array([[float(volts) for volts in curve.split()] for curve in (OCV_NMC, OCV_LFP)])
R_REFERENCE = np.array([1.1e-3, 0.7e-3])  # ohm, 10 s resistance of a 150 Ah cell half full at 25 C
SPECIFIC_HEAT = 1000.0  # J/kg K, usual for large cells
CELL_MASS = np.array([2.4, 3.1])  # kg, 150 Ah


def open_circuit(soc: Floats, chemistry: NDArray[np.int64]) -> Floats:
    """Volts for states of charge (vehicles, cells) and chemistries (vehicles,); steeper beyond the ends."""
    place = np.clip(soc, 0.0, 1.0) * 20.0
    left = np.minimum(place.astype(np.int64), 19)
    curve = OCV[chemistry[:, None], left]
    rise = OCV[chemistry[:, None], left + 1] - curve
    beyond = np.minimum(soc, 0.0) * 5.0 + np.maximum(soc - 1.0, 0.0) * 8.0
    return np.asarray(curve + rise * (place - left) + beyond)


def resistance(soc: Floats, celsius: Floats) -> Floats:
    """Factor on the reference resistance: up when nearly empty, and doubling every 20 K or so below room temperature."""
    empty = 1.0 + 0.7 * np.exp(-np.clip(soc, 0.0, 1.0) / 0.07)
    cold = np.exp(2300.0 * (1.0 / (np.clip(celsius, -30.0, 90.0) + 273.15) - 1.0 / 298.15))
    return np.asarray(empty * cold)
