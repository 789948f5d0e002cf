"""CAMs and DENMs of every shape that the standard's own ASN.1 allows, written by pycrate, which is no code of ours.

pycrate compiles EN 302 637-2 and EN 302 637-3 into trees of types; values are drawn along such a tree. What later editions
may add behind an extension bit is drawn too, as bytes that nobody knows.
"""

from __future__ import annotations

import string
from typing import Any

from hypothesis import strategies as st
from pycrate_asn1dir.ITS_CAM_2 import CAM_PDU_Descriptions
from pycrate_asn1dir.ITS_DENM_3 import DENM_PDU_Descriptions

CAM = CAM_PDU_Descriptions.CAM
DENM = DENM_PDU_Descriptions.DENM
LETTERS = {"IA5String": string.ascii_letters, "NumericString": string.digits + " ", "UTF8String": "äöü€"}
MOST = 9  # items of a list, where the standard allows more


@st.composite
def drawn(draw: st.DrawFn, kind: Any) -> Any:
    """A value of a type of pycrate's; unknown additions only where the type may be extended."""
    if kind.TYPE in ("SEQUENCE", "CHOICE"):
        return draw(_parts(kind) if kind.TYPE == "SEQUENCE" else _choice(kind))
    if kind.TYPE == "SEQUENCE OF":
        return [draw(drawn(kind._cont)) for _ in range(draw(_size(kind, MOST)))]
    if kind.TYPE == "INTEGER":
        beyond = kind._const_val.ext is not None and draw(st.integers(0, 4)) == 0
        return draw(st.integers(2**16, 2**40) if beyond else st.integers(kind._const_val.lb, kind._const_val.ub))
    if kind.TYPE == "ENUMERATED":
        beyond = kind._ext is not None and draw(st.integers(0, 4)) == 0
        return f"_ext_{draw(st.integers(len(kind._ext), 70))}" if beyond else draw(st.sampled_from(kind._root))
    if kind.TYPE == "BIT STRING":
        size = draw(_size(kind, 20))
        return draw(st.integers(0, (1 << size) - 1)), size
    if kind.TYPE == "OCTET STRING":
        return draw(st.binary(min_size=kind._const_sz.lb, max_size=kind._const_sz.ub))
    if kind.TYPE == "BOOLEAN":
        return draw(st.booleans())
    size = draw(_size(kind, MOST))
    return draw(st.text(LETTERS[kind.TYPE], min_size=size, max_size=size))


@st.composite
def _parts(draw: st.DrawFn, kind: Any) -> dict[str, Any]:
    return {
        name: draw(drawn(part))
        for name, part in kind._cont.items()
        if not (part._opt or part._def is not None) or draw(st.booleans())
    }


@st.composite
def _choice(draw: st.DrawFn, kind: Any) -> tuple[str, Any]:
    if kind._ext is not None and draw(st.integers(0, 9)) == 0:
        return f"_ext_{draw(st.integers(0, 70))}", draw(st.binary(max_size=40))
    name = draw(st.sampled_from(kind._root))
    return name, draw(drawn(kind._cont[name]))


def _size(kind: Any, most: int) -> st.SearchStrategy[int]:
    bounds = kind._const_sz
    if bounds is None:
        return st.integers(0, most)
    return st.integers(bounds.lb, min(bounds.ub, max(bounds.lb, most)))


def octets(kind: Any, value: dict[str, Any]) -> bytes:
    kind.set_val(value)
    return bytes(kind.to_uper())
