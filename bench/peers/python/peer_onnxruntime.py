"""ONNX Runtime's CPU provider, with inputs and outputs bound to memory in advance."""

import common

settings = common.settings()

import numpy
import onnxruntime
from onnxruntime import OrtValue

import onnx_model

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = settings["threads"]
options.inter_op_num_threads = 1
options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL


def prepare(task):
    if task.training:
        raise common.Unsupported("no training")
    session = onnxruntime.InferenceSession(onnx_model.model(task), options, providers=["CPUExecutionProvider"])
    run = session.run_with_iobinding

    def value(array):
        return OrtValue.ortvalue_from_numpy(numpy.ascontiguousarray(array))

    def bind(inputs, outputs):
        binding = session.io_binding()
        for name, v in inputs.items():
            binding.bind_ortvalue_input(name, v)
        for name, v in outputs.items():
            binding.bind_ortvalue_output(name, v)
        return binding

    if task.mode == "forward":
        y = value(numpy.zeros(session.get_outputs()[0].shape, numpy.float32))
        binding = bind({"x": value(task["x"])}, {"y": y})

        def check():
            run(binding)
            return [y.numpy()]

        return common.Job(lambda: run(binding), check)

    # The states after a step are bound as those before the next.
    names = ["h", "c"] if task.cell == "LSTM" else ["h"]
    x = value(task["x"][:1])
    states = [{n: value(numpy.zeros([1, task.B, task.H], numpy.float32)) for n in names} for _ in range(2)]
    bindings = [
        bind({"x": x, **states[i]}, {n + "n": states[1 - i][n] for n in names}) for i in range(2)
    ]
    turn = 0

    def call():
        nonlocal turn
        run(bindings[turn])
        turn = 1 - turn

    def check():
        y = []
        for xt in task["x"]:
            x.update_inplace(numpy.ascontiguousarray(xt[None]))
            call()
            y.append(states[turn]["h"].numpy().copy())
        x.update_inplace(task["x"][:1].copy())
        return y

    return common.Job(call, check)


common.serve({"onnxruntime": onnxruntime.__version__}, prepare)
