"""Code bases whose weights we take, by name."""

from torchmann.interop.source_model import SourceModel
from torchmann.interop.sources.armin import ReleasedARMIN
from torchmann.interop.sources.armin_dnc import ArminDNC
from torchmann.interop.sources.csordas_dnc import CsordasDNC
from torchmann.interop.sources.dam import ReleasedDAM
from torchmann.interop.sources.deepmind_dnc import DeepMindDNC
from torchmann.interop.sources.loudinthecloud_ntm import LoudInTheCloudNTM
from torchmann.interop.sources.rmc import PortedRMC, SonnetRMC
from torchmann.interop.sources.uw_dnc import UniformWritingDNC
from torchmann.interop.sources.vlgiitr_ntm import VlgiitrNTM

_KINDS: tuple[type[SourceModel], ...] = (
    ArminDNC,
    CsordasDNC,
    DeepMindDNC,
    LoudInTheCloudNTM,
    PortedRMC,
    ReleasedARMIN,
    ReleasedDAM,
    SonnetRMC,
    UniformWritingDNC,
    VlgiitrNTM,
)

SOURCES: dict[str, type[SourceModel]] = {kind.source: kind for kind in _KINDS}
"""Each says in its module what the names and layouts of its arrays are."""
