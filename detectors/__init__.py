"""What happened on the road: pure detectors over closed panes, without Kafka, Bytewax, a clock or an environment."""

from __future__ import annotations

from detectors.model import Detector

CATALOGUE: tuple[type[Detector], ...] = ()
"""The one list of detectors, in the order in which they see a frame."""
