"""Makes the small models and values in this folder.

Run with onnx 1.20.1 and onnxruntime 1.31.1; the results are committed, so nobody else needs to:

    python make.py

Every model is in opset 17. The expected values come from ONNX Runtime, an independent engine.
"""

from pathlib import Path

import numpy
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

FOLDER = Path(__file__).parent
FLOAT = TensorProto.FLOAT


def value(name, shape, kind=FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def constant(name, array):
    return numpy_helper.from_array(numpy.asarray(array), name)


def save(name, nodes, inputs, outputs, constants=(), **options):
    graph = helper.make_graph(nodes, name, inputs, outputs, list(constants))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, str(FOLDER / f"{name}.onnx"), **options)
    return model


def weights(seed, *shape):
    return numpy.random.default_rng(seed).standard_normal(shape).astype(numpy.float32) / 4


def small_network():
    """A convolution, a ReLU, a mean over the image and a matrix: free batch, image of 8 by 8."""
    nodes = [
        helper.make_node("Conv", ["image", "kernel", "bias"], ["features"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["features"], ["positive"]),
        helper.make_node("GlobalAveragePool", ["positive"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Gemm", ["flat", "matrix"], ["scores"]),
    ]
    constants = [
        constant("kernel", weights(1, 8, 3, 3, 3)),
        constant("bias", weights(2, 8)),
        constant("matrix", weights(3, 8, 5)),
    ]
    return nodes, [value("image", ["batch", 3, 8, 8])], [value("scores", ["batch", 5])], constants


def main():
    parts = small_network()
    (FOLDER / "external.data").unlink(missing_ok=True)
    save("network", *parts)
    save(
        "external", *parts, save_as_external_data=True, all_tensors_to_one_file=True,
        location="external.data", size_threshold=0)
    image = weights(4, 1, 3, 8, 8)
    session = onnxruntime.InferenceSession(str(FOLDER / "network.onnx"))
    image.tofile(FOLDER / "network.image.f32")
    session.run(None, {"image": image})[0].tofile(FOLDER / "network.scores.f32")

    save(
        "several",
        [
            helper.make_node("Add", ["left", "right"], ["sum"]),
            helper.make_node("Mul", ["left", "right"], ["product"]),
            helper.make_node("Gather", ["left", "indices"], ["picked"], axis=1),
        ],
        [value("left", [2, 3]), value("right", [2, 3]), value("indices", [2], TensorProto.INT64)],
        [value("picked", [2, 2]), value("product", [2, 3]), value("sum", [2, 3])])

    save(
        "dynamic", [helper.make_node("Relu", ["image"], ["result"])],
        [value("image", ["batch", 3, "height", "width"])],
        [value("result", ["batch", 3, "height", "width"])])

    save(
        "means",
        [
            helper.make_node("ReduceMean", ["image"], ["kept"], axes=[2, 3], keepdims=1),
            helper.make_node("ReduceMean", ["image"], ["dropped"], axes=[-1, -2], keepdims=0),
            helper.make_node("ReduceMean", ["image"], ["channels"], axes=[1], keepdims=1),
        ],
        [value("image", [1, 4, 6, 6])],
        [value("kept", [1, 4, 1, 1]), value("dropped", [1, 4]), value("channels", [1, 1, 6, 6])])

    # The textbook forms that the engine knows as one operator each.
    save(
        "fused",
        [
            helper.make_node("Sigmoid", ["x"], ["gate"]),
            helper.make_node("Mul", ["x", "gate"], ["swish"]),
            helper.make_node("Div", ["x", "root"], ["scaled"]),
            helper.make_node("Erf", ["scaled"], ["error"]),
            helper.make_node("Add", ["error", "one"], ["shifted"]),
            helper.make_node("Mul", ["x", "shifted"], ["doubled"]),
            helper.make_node("Mul", ["doubled", "half"], ["gelu"]),
        ],
        [value("x", [1, 16])], [value("swish", [1, 16]), value("gelu", [1, 16])],
        [
            constant("root", numpy.float32(numpy.sqrt(2))), constant("one", numpy.float32(1)),
            constant("half", numpy.float32(0.5)),
        ])

    save(
        "counting", [helper.make_node("NonZero", ["x"], ["places"])],
        [value("x", [4])], [value("places", [1, "count"], TensorProto.INT64)])

    save(
        "words", [helper.make_node("Identity", ["word"], ["same"])],
        [value("word", [1], TensorProto.STRING)], [value("same", [1], TensorProto.STRING)])

    # Tensors that a clean-up merges: the names of the inputs and outputs must survive.
    save(
        "merged",
        [
            helper.make_node("Identity", ["x"], ["copy"]),
            helper.make_node("Relu", ["copy"], ["positive"]),
            helper.make_node("Identity", ["positive"], ["same"]),
            helper.make_node("Identity", ["same"], ["y"]),
        ],
        [value("x", [1, 4])], [value("y", [1, 4])])

    # Nodes without names, and two with the same one.
    save(
        "names",
        [
            helper.make_node("Relu", ["x"], ["a"], name="twin"),
            helper.make_node("Tanh", ["a"], ["b"], name="twin"),
            helper.make_node("Sigmoid", ["b"], ["y"]),
        ],
        [value("x", [1, 4])], [value("y", [1, 4])])


main()
