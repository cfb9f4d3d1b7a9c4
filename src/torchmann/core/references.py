"""References of the parts that models are made of."""

from __future__ import annotations

from torch import nn

REFERENCES: dict[str, str] = {
    "elman": "J. L. Elman. Finding structure in time. Cognitive Science 14, 1990.",
    "lstm": "S. Hochreiter, J. Schmidhuber. Long short-term memory. Neural Computation 9, 1997.",
    "gru": (
        "K. Cho et al. Learning phrase representations using RNN encoder-decoder for statistical machine translation. "
        "EMNLP 2014."
    ),
    "layer_norm": "J. L. Ba, J. R. Kiros, G. E. Hinton. Layer normalization. arXiv:1607.06450, 2016.",
    "ntm": "A. Graves, G. Wayne, I. Danihelka. Neural Turing machines. arXiv:1410.5401, 2014.",
    "dnc": ("A. Graves et al. Hybrid computing using a neural network with dynamic external memory. Nature 538, 2016."),
    "dma": "The paper on differentiable memory allocation (DMA) for the DNC: allocation as a softmax of non-usage.",
    "uw": "H. Le, T. Tran, S. Venkatesh. Learning to remember more with less memorization. ICLR 2019.",
    "structured_ntm": "W. Zhang, Y. Yu, B. Zhou. Structured memory for neural Turing machines. arXiv:1510.03931, 2015.",
    "dam": (
        "T. Park, I. Choi, M. Lee. Distributed associative memory network with memory refreshing loss. "
        "arXiv:2007.10637, 2020."
    ),
}
"""What to cite, by the key that parts name in their attribute ``references``."""


def references_of(model: nn.Module) -> list[str]:
    """The references of all parts of a model that it really uses, from the outside in, each once."""
    keys = [key for module in model.modules() for key in getattr(module, "references", ())]
    return [REFERENCES[key] for key in dict.fromkeys(keys)]
