"""A simulated fleet of electric cars with faults injected at known times: the judge of the battery detector."""

from benchmarks.ev_fleet.faults import KINDS, Fault
from benchmarks.ev_fleet.simulate import Recording, simulate

__all__ = ["KINDS", "Fault", "Recording", "simulate"]
