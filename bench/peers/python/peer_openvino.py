"""OpenVINO's CPU plugin on ONNX models, in latency mode with float32, with inputs and
outputs set in advance. Its kernels are oneDNN's and its own."""

import common

settings = common.settings()

import numpy
import openvino

import onnx_model

core = openvino.Core()
config = {
    "PERFORMANCE_HINT": "LATENCY",
    "NUM_STREAMS": "1",
    "INFERENCE_NUM_THREADS": str(settings["threads"]),
    "INFERENCE_PRECISION_HINT": "f32",
}


def prepare(task):
    if task.training:
        raise common.Unsupported("no training")
    compiled = core.compile_model(core.read_model(onnx_model.model(task)), "CPU", config)
    if compiled.get_property("INFERENCE_NUM_THREADS") != settings["threads"]:
        raise RuntimeError("OpenVINO takes %d threads" % compiled.get_property("INFERENCE_NUM_THREADS"))

    def bind(inputs, outputs):
        request = compiled.create_infer_request()
        for name, v in inputs.items():
            request.set_tensor(name, openvino.Tensor(v, shared_memory=True))
        for name, v in outputs.items():
            request.set_tensor(name, openvino.Tensor(v, shared_memory=True))
        return request

    if task.mode == "forward":
        x = numpy.ascontiguousarray(task["x"])
        y = numpy.zeros(list(compiled.output(0).shape), numpy.float32)
        request = bind({"x": x}, {"y": y})

        def call():
            request.infer(share_outputs=True)

        def check():
            call()
            return [y]

        return common.Job(call, check)

    # The states after a step are bound as those before the next.
    names = ["h", "c"] if task.cell == "LSTM" else ["h"]
    x = task["x"][:1].copy()
    states = [{n: numpy.zeros([1, task.B, task.H], numpy.float32) for n in names} for _ in range(2)]
    requests = [bind({"x": x, **states[i]}, {n + "n": states[1 - i][n] for n in names}) for i in range(2)]
    turn = 0

    def call():
        nonlocal turn
        requests[turn].infer(share_outputs=True)
        turn = 1 - turn

    def check():
        y = []
        for xt in task["x"]:
            x[0] = xt
            call()
            y.append(states[turn]["h"].copy())
        x[0] = task["x"][0]
        return y

    return common.Job(call, check)


common.serve({"openvino": openvino.__version__.split("-")[0]}, prepare)
