"""The protocol between the benchmark and a peer, a library in Python.

The benchmark starts `python peer_NAME.py JSON` with the settings {"threads", "cpu",
"options"} and writes requests to its standard input, one JSON object a line; the peer
answers each with one line:

    {"op": "hello"}                     the versions, and how many CPUs it may use
    {"op": "prepare", "task": {...}}    makes the network and writes the results of one
                                        call to task["results"]; or {"unsupported": why}
    {"op": "run", "n": 10}              if n > 1 one call untimed, then {"seconds": of n
                                        calls, "busy": seconds of processors in them}
    {"op": "release"}                   forgets the network

Anything that goes wrong is {"error": why}. task["data"] and task["results"] are files
of float32 in the machine's byte order. Data holds the parameters in PyTorch's order, x
[T,B,I] and, for training, dy [T,B,D*H]; results hold y [T,B,D*H] and, for training, the
gradients of the parameters in order.

A peer is a module that calls serve with a function prepare(task) -> Job.
"""

import array
import contextlib
import json
import os
import signal
import sys
import time


class Unsupported(Exception):
    """Says what a peer does not have."""


class Task:
    """What to compute. mode is one of

    forward   y of a sequence from a zero state
    step      one time step of x[0] that carries the state on; the results are those of
              T steps through x from a zero state
    train     forward, and backward from dy to the gradients of the parameters
    last      the same, from a gradient of the last step of y alone
    """

    def __init__(self, task):
        self.mode = task["mode"]
        self.cell = task["cell"]  # LSTM, GRU or RNN
        self.T, self.B, self.I, self.H = task["T"], task["B"], task["I"], task["H"]
        self.layers, self.directions = task["layers"], task["directions"]
        tensors = [(p["name"], p["shape"]) for p in task["params"]]
        tensors.append(("x", [self.T, self.B, self.I]))
        if self.training:
            tensors.append(("dy", [self.T, self.B, self.directions * self.H]))
        self.data = {}
        with open(task["data"], "rb") as f:
            for name, shape in tensors:
                values, size = array.array("f"), 1
                for n in shape:
                    size *= n
                values.fromfile(f, size)
                self.data[name] = (values, shape)
        self.params = [p["name"] for p in task["params"]]

    @property
    def training(self):
        return self.mode in ("train", "last")

    def __getitem__(self, name):
        """A tensor as an array of NumPy."""
        import numpy

        values, shape = self.data[name]
        return numpy.frombuffer(values, dtype=numpy.float32).reshape(shape)


class Job:
    """A prepared task. call does once what is timed, within context; check returns the
    results as a list of arrays."""

    def __init__(self, call, check, context=contextlib.nullcontext):
        self.call, self.check, self.context = call, check, context


def run(job, n):
    call = job.call
    with job.context():
        if n > 1:
            call()
        busy, start = time.process_time(), time.perf_counter()
        for _ in range(n):
            call()
        seconds = time.perf_counter() - start
        return {"seconds": seconds, "busy": time.process_time() - busy}


def write(file, results):
    with open(file, "wb") as f:
        for r in results:
            f.write(r if isinstance(r, array.array) else r.astype("float32").tobytes())


def settings():
    """The settings. It must run before a library starts its threads."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the benchmark ends its peers itself
    s = json.loads(sys.argv[1])
    if s["cpu"] >= 0 and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {s["cpu"]})
    return s


def serve(versions, prepare):
    """Answers requests until the end of the standard input. versions says what the peer
    is made of."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    job = None
    for line in sys.stdin:
        try:
            request = json.loads(line)
            answer = {}
            if request["op"] == "hello":
                answer["versions"] = versions
                if hasattr(os, "sched_getaffinity"):
                    answer["cpus"] = len(os.sched_getaffinity(0))
            elif request["op"] == "prepare":
                task = Task(request["task"])
                job = prepare(task)
                with job.context():
                    write(request["task"]["results"], job.check())
            elif request["op"] == "run":
                answer = run(job, request["n"])
            elif request["op"] == "release":
                job = None
            else:
                raise ValueError("unknown op " + request["op"])
        except Unsupported as e:
            answer = {"unsupported": str(e)}
        except Exception as e:
            answer = {"error": "%s: %s" % (type(e).__name__, e)}
        out.write(json.dumps(answer) + "\n")
        out.flush()
