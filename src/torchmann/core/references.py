"""References of the parts that models are made of."""

from __future__ import annotations

import re

from torch import nn

REFERENCES: dict[str, str] = {
    "armin": (
        "Z. Li, J.-X. Zhong, J. Huang, T. Zhang, T. Li, G. Li. ARMIN: towards a more efficient and light-weight "
        "recurrent memory network. IJCAI 2019."
    ),
    "tardis": (
        "C. Gulcehre, S. Chandar, Y. Bengio. Memory augmented neural networks with wormhole connections. "
        "arXiv:1701.08718, 2017."
    ),
    "gumbel_softmax": ("E. Jang, S. Gu, B. Poole. Categorical reparameterization with Gumbel-softmax. ICLR 2017."),
    "zoneout": ("D. Krueger et al. Zoneout: regularizing RNNs by randomly preserving hidden activations. ICLR 2017."),
    "elman": "J. L. Elman. Finding structure in time. Cognitive Science 14, 1990.",
    "lstm": "S. Hochreiter, J. Schmidhuber. Long short-term memory. Neural Computation 9, 1997.",
    "gru": (
        "K. Cho et al. Learning phrase representations using RNN encoder-decoder for statistical machine translation. "
        "EMNLP 2014."
    ),
    "skip": "A. Graves. Generating sequences with recurrent neural networks. arXiv:1308.0850, 2013.",
    "layer_norm": "J. L. Ba, J. R. Kiros, G. E. Hinton. Layer normalization. arXiv:1607.06450, 2016.",
    "ntm": "A. Graves, G. Wayne, I. Danihelka. Neural Turing machines. arXiv:1410.5401, 2014.",
    "dnc": ("A. Graves et al. Hybrid computing using a neural network with dynamic external memory. Nature 538, 2016."),
    "dma": "The paper on differentiable memory allocation (DMA) for the DNC: allocation as a softmax of non-usage.",
    "uw": "H. Le, T. Tran, S. Venkatesh. Learning to remember more with less memorization. ICLR 2019.",
    "structured_ntm": "W. Zhang, Y. Yu, B. Zhou. Structured memory for neural Turing machines. arXiv:1510.03931, 2015.",
    "rmc": "A. Santoro et al. Relational recurrent neural networks. NeurIPS 2018.",
    "sam": "J. W. Rae et al. Scaling memory-augmented neural networks with sparse reads and writes. NeurIPS 2016.",
    "dam": (
        "T. Park, I. Choi, M. Lee. Distributed associative memory network with memory refreshing loss. "
        "arXiv:2007.10637, 2020."
    ),
    "pointer": "O. Vinyals, M. Fortunato, N. Jaitly. Pointer networks. NeurIPS 2015.",
    "stm": "H. Le, T. Tran, S. Venkatesh. Self-attentive associative memory. ICML 2020.",
    "entity_network": (
        "M. Henaff, J. Weston, A. Szlam, A. Bordes, Y. LeCun. Tracking the world state with recurrent entity networks. "
        "ICLR 2017."
    ),
    "penn_treebank": (
        "M. P. Marcus, B. Santorini, M. A. Marcinkiewicz. Building a large annotated corpus of English: the Penn "
        "Treebank. Computational Linguistics 19, 1993."
    ),
    "ptb_characters": "T. Mikolov et al. Subword language modeling with neural networks. Preprint, 2012.",
    "large_text": "M. Mahoney. Large text compression benchmark. mattmahoney.net/dc/text.html, 2006.",
    "mnist": (
        "Y. LeCun, L. Bottou, Y. Bengio, P. Haffner. Gradient-based learning applied to document recognition. "
        "Proceedings of the IEEE 86, 1998."
    ),
    "pixel_mnist": (
        "Q. V. Le, N. Jaitly, G. E. Hinton. A simple way to initialize recurrent networks of rectified linear units. "
        "arXiv:1504.00941, 2015."
    ),
    "dilated": "S. Chang et al. Dilated recurrent neural networks. NeurIPS 2017.",
    "zhang": (
        "X. Zhang, J. Zhao, Y. LeCun. Character-level convolutional networks for text classification. NeurIPS 2015."
    ),
    "imdb": "A. L. Maas et al. Learning word vectors for sentiment analysis. ACL 2011.",
    "glove": "J. Pennington, R. Socher, C. D. Manning. GloVe: global vectors for word representation. EMNLP 2014.",
    "region_embedding": ("C. Qiao et al. A new method of region embedding for text classification. ICLR 2018."),
    "babi": (
        "J. Weston et al. Towards AI-complete question answering: a set of prerequisite toy tasks. "
        "arXiv:1502.05698, 2015."
    ),
}
"""What to cite, by the key that parts name in their attribute ``references``."""


def references_of(model: nn.Module) -> list[str]:
    """The references of all parts of a model that it really uses, from the outside in, each once."""
    keys = [key for module in model.modules() for key in getattr(module, "references", ())]
    return [REFERENCES[key] for key in dict.fromkeys(keys)]


def short_reference(reference: str) -> str:
    """A reference as its first author's surname and the year; what it says first where it names no author."""
    author, year = re.match(r"(?:\w\.[- ]?)+([\w'-]+)", reference), re.search(r"(\d{4})\D*$", reference)
    return f"{author[1]} {year[1]}" if author and year else reference.partition(":")[0]
