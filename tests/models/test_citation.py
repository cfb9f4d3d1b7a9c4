"""A model cites the parts that it really uses, and no others."""

from __future__ import annotations

import torchmann as tm
from torchmann.core.references import REFERENCES
from torchmann.memories import CachedUniform, DenseFrom


def cited(model: tm.Recurrent) -> set[str]:
    lines = model.citation.splitlines()
    assert len(lines) == len(set(lines))
    return {key for key, text in REFERENCES.items() if text in lines}


def test_each_part_brings_its_reference() -> None:
    size = {"slots": 5, "width": 3}
    assert cited(tm.LSTM(3, 4)) == {"lstm"}
    assert cited(tm.DNC(3, 4, **size)) == {"dnc", "lstm"}
    assert cited(tm.DNC(3, 4, **size, allocation="softmax", controller="gru")) == {"dnc", "dma", "gru"}
    assert cited(tm.DNC(3, 4, **size, writing="uniform:2", preset="uw")) == {"dnc", "uw", "lstm", "layer_norm"}
    assert cited(tm.NTM(3, 4, **size, writing=DenseFrom(CachedUniform(2), 5))) == {"ntm", "uw", "lstm"}
    assert cited(tm.NTM2(3, 4, **size)) == {"ntm", "structured_ntm", "lstm"}
    assert cited(tm.ARMIN(3, 4, **size)) == {"armin", "gumbel_softmax"}
    assert cited(tm.AwTA(3, 4, **size, zoneout_keep=0.8)) == {"armin", "tardis", "gumbel_softmax", "zoneout"}
    assert cited(tm.TARDIS(3, 4, **size)) == {"tardis", "lstm", "gumbel_softmax"}
    assert cited(tm.DNC(3, 4, **size, controller="armin")) == {"dnc", "armin"}
    assert cited(tm.SAM(3, 4, **size)) == cited(tm.SAM(3, 4, **size, variant="visible")) == {"sam", "lstm"}
    assert cited(tm.SDNC(3, 4, **size, link_entries=2)) == {"sam", "dnc", "lstm"}
    assert cited(tm.RMC(3, slots=5, width=8)) == {"rmc"}
    assert cited(tm.DARMC(3, slots=5, width=8)) == {"dam", "rmc"}
    assert cited(tm.DAM(3, 4, **size, controller="rnn")) == {"dam", "dnc", "layer_norm", "elman"}
