"""ONNX Runtime's own RNN, LSTM and GRU operators with torch's weights: inference only."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from unroll.bench.cases import Case
from unroll.bench.participant import Call, Prepared
from unroll.bench.torch_layers import made, results

ORDER = {"RNN": (0,), "LSTM": (0, 3, 1, 2), "GRU": (1, 0, 2)}
"""Where each of ONNX's gates, h, i o f c and z r h, stands in torch's order."""
OPSET, IR_VERSION = 14, 8


class OnnxLayers:
    """Runs forward passes in sessions of ONNX Runtime."""

    def __init__(self, threads: int) -> None:
        import onnx  # noqa: F401  the model is written with it
        import onnxruntime

        # torch only draws the weights here: its threads are to stay out of the way.
        torch.set_num_threads(1)
        self.options = onnxruntime.SessionOptions()
        self.options.intra_op_num_threads, self.options.inter_op_num_threads = threads, 1
        self.options.log_severity_level = 3

    def version(self) -> str:
        import onnxruntime

        return str(onnxruntime.__version__)

    def ran(self, call: Call) -> list[str]:
        call()
        return ["onnxruntime"]

    def prepare(self, case: Case, variant: str) -> Prepared:
        import onnxruntime

        layer, x, _ = made(lambda: getattr(torch.nn, case.family)(case.shape.I, case.shape.H), case.shape)
        session = onnxruntime.InferenceSession(
            model(case, list(layer.parameters())), self.options, providers=["CPUExecutionProvider"]
        )
        inputs = {"x": x.numpy()}

        def forward() -> Any:
            return session.run(None, inputs)

        def numbers() -> list[Any]:
            output, *final = forward()
            return [output.squeeze(1), *final]

        return Prepared(numbers, forward, results(case))


def model(case: Case, weights: list[Tensor]) -> bytes:
    """The layer as a model of one operator; ``weights`` are torch's w_ih, w_hh, b_ih, b_hh."""
    from onnx import TensorProto, helper, numpy_helper

    B, T, I, H = case.shape  # noqa: E741
    w_ih, w_hh, b_ih, b_hh = (_reordered(case.family, weight.detach()) for weight in weights)
    constants = {"W": w_ih, "R": w_hh, "b": torch.cat([b_ih, b_hh])}
    final = ["h", "c"] if case.family == "LSTM" else ["h"]
    own: dict[str, Any] = {"linear_before_reset": 1} if case.family == "GRU" else {}
    node = helper.make_node(case.family, ["x", "W", "R", "b"], ["y", *final], hidden_size=H, **own)

    def info(name: str, shape: list[int]) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    graph = helper.make_graph(
        [node],
        case.family,
        [info("x", [T, B, I])],
        [info("y", [T, 1, B, H]), *(info(name, [1, B, H]) for name in final)],
        [numpy_helper.from_array(tensor.unsqueeze(0).numpy(), name) for name, tensor in constants.items()],
    )
    made_model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    return bytes(made_model.SerializeToString())


def _reordered(family: str, weight: Tensor) -> Tensor:
    parts = weight.chunk(len(ORDER[family]))
    return torch.cat([parts[gate] for gate in ORDER[family]])
