"""When the engine is the faster: a rule by sizes, from what was measured (``unroll bench``)."""

from __future__ import annotations

import torch

OF_TORCH = ("rnn_tanh", "rnn_relu", "lstm", "gru")


def pays(kind: str, dtype: torch.dtype, hidden: int, steps: int, batch: int, training: bool) -> bool:
    """Whether the engine beats torch's operator, or where torch has none, the loop over steps.

    A call of the engine costs some 80 microseconds and the packing of its weights, which a few steps of a few rows do
    not repay. torch takes GRU and RNN apart step by step; its LSTM is oneDNN's, as fast as ours where products are all
    that counts. Its float64 is vectorised and ours is not.
    """
    if kind not in OF_TORCH:
        return True
    if dtype != torch.float32:
        return False
    rows = steps * batch
    if kind == "lstm":
        return _lstm_pays(hidden, steps, batch, training)
    if kind == "gru" and training:
        return steps >= 8 or (steps >= 4 and (hidden <= 128 or batch >= 8))
    enough = 16 if kind == "gru" or training else 32
    return steps >= enough + hidden // (64 * batch) or (steps >= 4 and batch * hidden >= 8192 and rows >= 64)


def _lstm_pays(hidden: int, steps: int, batch: int, training: bool) -> bool:
    rows = steps * batch
    if training:
        return steps >= 128 and (hidden <= 64 or rows * hidden >= 1 << 17)
    return steps >= 512 or (steps >= 128 and batch * hidden >= 8192)
