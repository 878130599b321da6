"""A sample of bench/peers/coldstart: python coldstart.py LIBRARY DIRECTORY [save]

With save it writes DIRECTORY/weights.safetensors anew as a file of the library's own
format. Without, it loads that file, computes y of one step of x from a zero state, and
prints {"version", "load": seconds until the model is ready, "first": seconds of the
call, "y"}. Each library is used as its documentation says loads fastest.
"""

import json
import os
import sys
import time


def tensors(file):
    """The tensors of a safetensors file of F32."""
    import numpy

    with open(file, "rb") as f:
        header = json.loads(f.read(int.from_bytes(f.read(8), "little")))
        data = f.read()
    header.pop("__metadata__", None)
    return {
        name: numpy.frombuffer(data[slice(*t["data_offsets"])], dtype="<f4").reshape(t["shape"])
        for name, t in header.items()
    }


def layers(weights):
    return sum(name.startswith("weight_hh_l") for name in weights)


def save_onnx(weights, x, file):
    import onnx_model

    class Task(dict):
        mode, cell, T, B, directions = "forward", "LSTM", 1, 1, 1

    task = Task(weights)
    task.layers, task.I, task.H = layers(weights), x.shape[-1], x.shape[-1]
    with open(file, "wb") as f:
        f.write(onnx_model.model(task))


def save_torch(weights, x, file):
    import torch

    torch.save({name: torch.from_numpy(w.copy()) for name, w in weights.items()}, file)


def onnxruntime(x, file):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1

    def load():
        return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])

    return onnxruntime.__version__, load, lambda session: session.run(None, {"x": x})[0]


def torch(x, file):
    import torch

    torch.set_num_threads(1)
    torch.set_num_interop_threads(1)
    x = torch.from_numpy(x.copy())

    def load():  # maps the file, draws no random numbers, copies nothing
        weights = torch.load(file, mmap=True, weights_only=True)
        with torch.device("meta"):
            net = torch.nn.LSTM(x.shape[-1], x.shape[-1], layers(weights))
        net.load_state_dict(weights, assign=True)
        return net.eval()

    def first(net):
        with torch.inference_mode():
            return net(x)[0].numpy()

    return torch.__version__, load, first


def openvino(x, file):
    import openvino

    config = {"PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": "1", "INFERENCE_NUM_THREADS": "1", "INFERENCE_PRECISION_HINT": "f32"}

    def load():
        core = openvino.Core()
        return core.compile_model(core.read_model(file), "CPU", config).create_infer_request()

    def first(request):
        request.infer({"x": x})
        return request.get_output_tensor(0).data

    return openvino.__version__.split("-")[0], load, first


LIBRARIES = {
    "onnxruntime": (onnxruntime, save_onnx, "model.onnx"),
    "openvino": (openvino, save_onnx, "model.onnx"),
    "torch": (torch, save_torch, "model.pt"),
}


def main(library, directory, *save):
    if library not in LIBRARIES:
        sys.exit("library %r, want one of %s" % (library, ", ".join(LIBRARIES)))
    use, write, name = LIBRARIES[library]
    file = os.path.join(directory, name)
    x = tensors(os.path.join(directory, "input.safetensors"))["x"]
    if save:
        write(tensors(os.path.join(directory, "weights.safetensors")), x, file)
    version, load, first = use(x, file)
    start = time.perf_counter()
    model = load()
    loaded = time.perf_counter()
    y = first(model)
    end = time.perf_counter()
    print(json.dumps({"version": version, "load": loaded - start, "first": end - loaded, "y": y.ravel().tolist()}))


main(*sys.argv[1:])
