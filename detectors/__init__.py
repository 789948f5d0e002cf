"""What happened on the road: pure detectors over closed panes, without Kafka, Bytewax, a clock or an environment."""

from __future__ import annotations

from detectors.battery import BatteryHealth
from detectors.blocked_road import BlockedRoad
from detectors.hard_braking import HardBraking
from detectors.long_stand import LongStand
from detectors.model import Detector
from detectors.notices import Notices
from detectors.self_reports import SelfReports
from detectors.shunned_lane import ShunnedLane
from detectors.slippery_road import SlipperyRoad
from detectors.stationary_traffic import StationaryTraffic
from detectors.weather import Weather
from detectors.wrong_way import WrongWay

CATALOGUE: tuple[type[Detector], ...] = (
    HardBraking,
    StationaryTraffic,
    LongStand,
    BlockedRoad,
    ShunnedLane,
    SelfReports,
    Notices,
    SlipperyRoad,
    WrongWay,
    Weather,
    BatteryHealth,
)
"""The one list of detectors, in the order in which they see a frame."""
