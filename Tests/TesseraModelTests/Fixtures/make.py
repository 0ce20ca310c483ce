"""Makes the IR fixtures of these tests, as `tessera model add` would import them.

    pip install openvino==2026.4.1 numpy
    python make.py            # writes *.xml and *.bin beside itself

The networks are built operator by operator with fixed random weights, run through OpenVINO's own
clean-up and constant folding, and serialised. They are small, but each has what cutting must get
right: see the functions.
"""

import pathlib

import numpy as np
import openvino as ov
from openvino import opset13 as op
from openvino._offline_transformations import apply_moc_transformations

HERE = pathlib.Path(__file__).parent
random = np.random.default_rng(7)


def weights(*shape):
    scale = 1 / np.sqrt(np.prod(shape[1:]) or 1)
    return op.constant((random.standard_normal(shape) * scale).astype(np.float32))


def shape(x):
    return list(x.get_shape() if isinstance(x, ov.Output) else x.get_output_shape(0))


def convolution(x, channels, kernel=3, stride=1):
    pad = kernel // 2
    depth = shape(x)[1]
    made = op.convolution(
        x, weights(channels, depth, kernel, kernel), [stride, stride], [pad, pad], [pad, pad], [1, 1])
    return op.add(made, weights(1, channels, 1, 1))


def mean(x):
    extent = shape(x)[2:]
    return op.avg_pool(x, [1, 1], [0, 0], [0, 0], extent, True)


def residual_cnn():
    """Residual sums with and without a convolution on the short cut, swish, a gate, shared bytes."""
    image = op.parameter([1, 3, 32, 32], np.float32, name="image")
    image.output(0).set_names({"image"})
    x = op.relu(convolution(image, 16))
    x = op.max_pool(x, [2, 2], [1, 1], [0, 0], [0, 0], [2, 2]).output(0)
    y = convolution(op.relu(convolution(x, 16)), 16)
    x = op.relu(op.add(y, x))
    y = convolution(op.relu(convolution(x, 24, stride=2)), 24)
    x = op.relu(op.add(y, convolution(x, 24, kernel=1, stride=2)))
    y = convolution(x, 24)
    x = op.multiply(y, op.sigmoid(y))
    gate = op.sigmoid(convolution(op.relu(convolution(mean(x), 8, kernel=1)), 24, kernel=1))
    x = op.multiply(x, gate)
    same = weights(24, 24, 1, 1)
    for _ in range(2):
        x = op.convolution(x, same, [1, 1], [0, 0], [0, 0], [1, 1])
    x = op.reshape(mean(x), op.constant(np.array([1, 24])), False)
    logits = op.add(op.matmul(x, weights(10, 24), False, True), weights(1, 10))
    logits.output(0).set_names({"logits"})
    return ov.Model([op.result(logits)], [image], "residual-cnn")


def norm(x, width):
    made = op.mvn(x, op.constant(np.array([-1])), True, 1e-6, "inside_sqrt")
    return op.add(op.multiply(made, weights(1, 1, width)), weights(1, 1, width))


def transformer():
    """Two blocks of attention and a feed-forward part, one with a gated unit and an RMS norm."""
    width, heads, length = 32, 4, 12
    tokens = op.parameter([1, length, width], np.float32, name="tokens")
    tokens.output(0).set_names({"tokens"})
    x = op.add(tokens, weights(1, length, width))
    for block in range(2):
        y = norm(x, width)
        y = op.add(op.matmul(y, weights(3 * width, width), False, True), weights(1, 1, 3 * width))
        y = op.reshape(y, op.constant(np.array([1, length, 3, heads, width // heads])), False)
        y = op.transpose(y, op.constant(np.array([2, 0, 3, 1, 4])))
        parts = op.variadic_split(y, op.constant(0), op.constant(np.array([1, 1, 1])))
        q, k, v = (op.squeeze(part, op.constant(np.array([0]))) for part in parts.outputs())
        y = op.scaled_dot_product_attention(q, k, v)
        y = op.transpose(y, op.constant(np.array([0, 2, 1, 3])))
        y = op.reshape(y, op.constant(np.array([1, length, width])), False)
        y = op.add(op.matmul(y, weights(width, width), False, True), weights(1, 1, width))
        x = op.add(x, y)
        if block == 0:
            y = op.matmul(norm(x, width), weights(2 * width, width), False, True)
            y = op.gelu(op.add(y, weights(1, 1, 2 * width)), "erf")
        else:
            square = op.power(x, op.constant(np.float32(2)))
            root = op.sqrt(op.add(
                op.reduce_mean(square, op.constant(np.array([-1])), True),
                op.constant(np.float32(1e-6))))
            y = op.multiply(op.divide(x, root), weights(1, 1, width))
            y = op.matmul(y, weights(4 * width, width), False, True)
            halves = op.variadic_split(y, op.constant(-1), op.constant(np.array([64, 64])))
            y = op.multiply(op.swish(halves.output(0)), halves.output(1))
        x = op.add(x, op.matmul(y, weights(width, 2 * width), False, True))
    hidden = norm(x, width)
    hidden.output(0).set_names({"hidden"})
    first = op.gather(hidden, op.constant(0), op.constant(1))
    logits = op.matmul(first, weights(5, width), False, True)
    logits.output(0).set_names({"logits"})
    return ov.Model([op.result(logits), op.result(hidden)], [tokens], "transformer")


def several():
    """Three inputs, one of them not read; outputs that are an input, and one tensor given twice;
    names that need escaping; scalars and a constant without elements; a tensor read far away."""
    a = op.parameter([2, 3], np.float32, name="a")
    b = op.parameter([2, 3], np.float32, name="b")
    idle = op.parameter([1], np.int64, name="idle")
    for parameter, name in [(a, "a<&>\"'"), (b, "b,c"), (idle, "idle")]:
        parameter.output(0).set_names({name})
    total = op.add(a, b)
    total.set_friendly_name("sum\nof \u00e4ll")
    total.output(0).set_names({"sum", "total"})
    far = op.softmax(a, 1)
    x = total
    for _ in range(3):
        x = op.softmax(op.matmul(x, weights(3, 3), False, True), 1)
    x = op.add(x, far)
    x.output(0).set_names({"far"})
    largest = op.topk(x, op.constant(2), 1, "max", "value")
    largest.output(0).set_names({"values"})
    largest.output(1).set_names({"indices"})
    total_of_b = op.reduce_sum(b, op.constant(np.array([0, 1])), True)
    scalar = op.reshape(total_of_b, op.constant(np.array([], dtype=np.int64)), False)
    scalar.output(0).set_names({"scalar"})
    outputs = [total, total, a, x, scalar, largest.output(0), largest.output(1)]
    return ov.Model([op.result(each) for each in outputs], [b, a, idle], "several")


for make, clean in [(residual_cnn, True), (transformer, True), (several, False)]:
    model = make()
    if clean:
        apply_moc_transformations(model, cf=True)
    model.validate_nodes_and_infer_types()
    path = HERE / make.__name__.replace("_", "-")
    ov.serialize(model, str(path.with_suffix(".xml")))
    print(path.name, sum(path.with_suffix(end).stat().st_size for end in [".xml", ".bin"]))
