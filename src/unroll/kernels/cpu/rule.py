"""When the engine is the faster: a rule by sizes, from what was measured (``unroll bench``)."""

from __future__ import annotations

import torch

_OF_TORCH = ("rnn_tanh", "rnn_relu", "lstm", "gru")


def pays(kind: str, dtype: torch.dtype, hidden: int, steps: int, batch: int, *, training: bool) -> bool:
    """Whether the engine beats torch's operator, or where torch has none, the loop over steps.

    A call of the engine costs some 80 microseconds and the packing of its weights, which a few steps of a few rows do
    not repay. torch takes GRU and RNN apart step by step; its LSTM is oneDNN's, as fast as ours where products are all
    that counts. Its float64 is vectorised and ours is not.
    """
    if kind not in _OF_TORCH:
        return True
    if dtype != torch.float32:
        return False
    if kind == "lstm":
        return _lstm_training(hidden, steps, batch) if training else _lstm_forward(hidden, steps, batch)
    if kind == "gru" and training:
        return steps >= 8 or (steps >= 4 and (hidden <= 128 or batch >= 8))
    enough = 16 if kind == "gru" or training else 32
    many = steps >= 4 and batch * hidden >= 8192 and steps * batch >= 64
    return many or steps >= enough + hidden // (64 * batch)


def _lstm_forward(hidden: int, steps: int, batch: int) -> bool:
    """Results of megabytes, which go to large pages; weights beyond the cache; rows too few for oneDNN."""
    large = steps * batch * hidden >= 1 << 21 or (hidden >= 512 and steps >= 16 and torch.get_num_threads() == 1)
    return large or (batch <= 4 and steps >= (256 if hidden >= 64 else 512))


def _lstm_training(hidden: int, steps: int, batch: int) -> bool:
    # torch's threads wait for work by spinning, beside which ours gain little in a short call.
    if torch.get_num_threads() > 1:
        return steps * batch * hidden >= 1 << 21 or (batch <= 4 and steps >= 256)
    return steps >= 128 or (steps >= 64 and hidden <= 24 and batch >= 3)
