"""How the tools here write a network as ONNX."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import onnx_ir as ir
import torch
from torch import Tensor, nn

OPSET = 18
# A protobuf message, and so a model in one file, stays below 2 GiB; the graph takes a little of it.
ONE_FILE_LIMIT = 2**31 - 2**24


def drop_notes(graph: ir.Graph) -> None:
    """Drops the exporter's notes on where in the source everything came from.

    They name folders of the machine that the export ran on.
    """
    graph.metadata_props.clear()
    for value in (*graph.inputs, *graph.initializers.values()):
        value.metadata_props.clear()
    for node in graph.all_nodes():
        node.metadata_props.clear()
        for value in node.outputs:
            value.metadata_props.clear()


def export(
    network: nn.Module, inputs: Mapping[str, Tensor], outputs: Sequence[str], path: Path
) -> None:
    """Writes a network with the static shapes of its example inputs.

    The weights go into a second file, `path` with `.data` added, only where one file can't hold
    them.
    """
    program = torch.onnx.export(
        network.eval(),
        tuple(inputs.values()),
        input_names=list(inputs),
        output_names=list(outputs),
        opset_version=OPSET,
        dynamo=True,
        verbose=False,
    )
    assert program is not None
    drop_notes(program.model.graph)
    size = sum(tensor.nbytes for tensor in network.state_dict().values())
    program.save(path, external_data=size > ONE_FILE_LIMIT)
