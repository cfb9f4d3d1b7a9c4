"""SequenceModel: an embedding before and a head behind a recurrent body.

Shapes: T time, B batch, I input, O output.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from torchmann.core.errors import ShapeError
from torchmann.engines import Recurrent
from torchmann.memories import DenseFrom


class SequenceModel(nn.Module):
    """``output, state = head(body(encoder(inputs)))``, with the state and the keywords of the body.

    Args:
        encoder: from what the task gives to the body's input, e.g. `torch.nn.Embedding` or `SentenceEncoder`.
        body: a `Recurrent`.
        head: from the body's output to what the task scores.
    """

    def __init__(self, encoder: nn.Module, body: Recurrent, head: nn.Module) -> None:
        super().__init__()
        self.encoder, self.body, self.head = encoder, body, head

    def forward(
        self, inputs: Tensor, state: Any = None, *, decode_from: int | None = None, **options: Any
    ) -> tuple[Any, Any]:
        """Run over a sequence.

        Args:
            inputs: ``[T, B]`` tokens, ``[T, B, I]`` vectors or ``[T, B, L]`` sentences.
            state: what an earlier call returned; None starts anew.
            decode_from: absolute step from which the memory is used at every step, whatever the writing policy: where
                the answers begin. None leaves the policy alone.
            options: keywords of `Recurrent.forward` (lengths, reset, schedule, start, noise, generator).

        Returns:
            Outputs ``[T, B, O]`` and the body's state.

        Raises:
            ShapeError: vectors where the encoder wants tokens, or sentences of another length.
        """
        if isinstance(self.encoder, nn.Embedding) and inputs.is_floating_point():
            raise ShapeError(
                f"inputs must be token numbers [T, B] (int64), got {inputs.dtype} of shape {tuple(inputs.shape)}: "
                "build the model with input_kind='vector' for vectors."
            )
        if decode_from is not None:
            options["schedule"] = DenseFrom(self.body.cell, decode_from)
        output, state = self.body(self.encoder(inputs), state, **options)
        return self.head(output), state
