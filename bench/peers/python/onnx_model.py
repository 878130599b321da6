"""ONNX models of recurrent networks with PyTorch's parameters."""

import numpy
from onnx import TensorProto, helper, numpy_helper

# PyTorch's gates in ONNX's order: i,o,f,g for i,f,g,o and z,r,n for r,z,n.
GATES = {"LSTM": (0, 3, 1, 2), "GRU": (1, 0, 2), "RNN": (0,)}


def gates(task, w):
    parts = numpy.split(w, len(GATES[task.cell]))
    return numpy.concatenate([parts[g] for g in GATES[task.cell]])


def model(task):
    """The bytes of a model with input x [T,B,I] and output y: [T,1,B,H], or [T,B,2*H] if
    bidirectional. For single steps T is 1, and it has inputs h (and c for LSTM) and
    outputs hn (and cn), [1,B,H] each, instead."""
    D, H, B = task.directions, task.H, task.B
    T = 1 if task.mode == "step" else task.T
    nodes, constants = [], []

    def constant(name, value):
        constants.append(numpy_helper.from_array(value, name))
        return name

    def value(name, *shape):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    x, inputs, outputs = "x", [value("x", T, B, task.I)], [value("y", T, 1, B, H)]
    states = ["h", "c"] if task.cell == "LSTM" else ["h"]
    for k in range(task.layers):

        def each(f):
            return numpy.stack([f("_l%d%s" % (k, end)) for end in ("", "_reverse")[:D]])

        weights = [
            constant("W%d" % k, each(lambda e: gates(task, task["weight_ih" + e]))),
            constant("R%d" % k, each(lambda e: gates(task, task["weight_hh" + e]))),
            constant("B%d" % k, each(lambda e: numpy.concatenate([gates(task, task["bias_" + s + e]) for s in ("ih", "hh")]))),
        ]
        y = "y" if k == task.layers - 1 and D == 1 else "y%d" % k
        ins, outs = [x] + weights, [y]
        if task.mode == "step":
            ins += [""] + states
            outs = [""] + [s + "n" for s in states]
            inputs += [value(s, 1, B, H) for s in states]
            outputs = [value(s + "n", 1, B, H) for s in states]
        more = {"linear_before_reset": 1} if task.cell == "GRU" else {}
        nodes.append(helper.make_node(task.cell, ins, outs, hidden_size=H, direction="bidirectional" if D == 2 else "forward", **more))
        x = y
        if D == 2 or k < task.layers - 1:  # [T,D,B,H] to [T,B,D*H]
            last = k == task.layers - 1
            x = "y" if last else "x%d" % (k + 1)
            nodes.append(helper.make_node("Transpose", [y], [y + "t"], perm=[0, 2, 1, 3]))
            nodes.append(helper.make_node("Reshape", [y + "t", constant("shape%d" % k, numpy.array([T, B, D * H]))], [x]))
            if last:
                outputs = [value("y", T, B, D * H)]
    graph = helper.make_graph(nodes, "network", inputs, outputs, constants)
    m = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return m.SerializeToString()
