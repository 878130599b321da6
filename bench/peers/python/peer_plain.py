"""A peer without any library: the protocol at its smallest, for the tests.

Options: "wrong" gives wrong results, "crash" ends the process at the first run.
"""

import array
import math
import os

import common

settings = common.settings()


def prepare(task):
    if task.cell != "RNN" or task.layers > 1 or task.directions > 1 or task.training:
        raise common.Unsupported("RNN of one layer, forward only")
    B, I, H = task.B, task.I, task.H
    w, u, b, d = (list(task.data[n + "_l0"][0]) for n in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    x = list(task.data["x"][0])
    if "wrong" in settings["options"]:
        b[0] += 0.1

    def advance(h, x):
        rows = []
        for r in range(B):
            for j in range(H):
                a = b[j] + d[j]
                a += sum(w[j * I + k] * x[r * I + k] for k in range(I))
                a += sum(u[j * H + k] * h[r * H + k] for k in range(H))
                rows.append(math.tanh(a))
        return rows

    def sequence():
        h, y = [0.0] * (B * H), array.array("f")
        for t in range(task.T):
            h = advance(h, x[t * B * I :])
            y.extend(h)
        return [y]

    def call():
        if "crash" in settings["options"]:
            print("about to crash", flush=True)
            os._exit(3)
        if task.mode == "step":
            advance([0.0] * (B * H), x)
        else:
            sequence()

    return common.Job(call, sequence)


common.serve({"plain": "1"}, prepare)
