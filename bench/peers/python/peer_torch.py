"""PyTorch: nn.LSTM, nn.GRU and nn.RNN, in inference mode or with autograd, and the cells
for single steps. Its CPU LSTM is oneDNN's.

Option "flush" is torch.set_flush_denormal(True).
"""

import common

settings = common.settings()

import torch

torch.set_num_threads(settings["threads"])
torch.set_num_interop_threads(1)
if torch.get_num_threads() != settings["threads"]:
    raise SystemExit("torch has %d threads" % torch.get_num_threads())
flush = "flush" in settings["options"]
if flush and not torch.set_flush_denormal(True):
    raise SystemExit("torch.set_flush_denormal is not supported here")


def tensor(task, name):
    return torch.from_numpy(task[name].copy())


def load(net, task):
    names = [n for n, _ in net.named_parameters()]
    for name, param in zip(names, net.parameters(), strict=True):
        source = name if name in task.data else name + "_l0"  # a cell's names have no layer
        param.data.copy_(tensor(task, source))
    return [dict(net.named_parameters())[n if n in names else n.removesuffix("_l0")] for n in task.params]


def prepare(task):
    if task.mode == "step":
        return step(task)
    net = getattr(torch.nn, task.cell)(task.I, task.H, task.layers, bidirectional=task.directions == 2)
    params = load(net, task)
    x = tensor(task, "x")
    if task.mode == "forward":
        net.eval()
        return common.Job(lambda: net(x), lambda: [net(x)[0].numpy()], torch.inference_mode)

    dy = tensor(task, "dy")
    if task.mode == "last":
        dy = dy[-1].clone()

    def call():
        for p in params:
            p.grad = None
        y, _ = net(x)
        (y[-1] if task.mode == "last" else y).backward(dy)
        return y

    return common.Job(call, lambda: [call().detach().numpy()] + [p.grad.numpy() for p in params])


def step(task):
    cell = getattr(torch.nn, task.cell + "Cell")(task.I, task.H).eval()
    load(cell, task)
    x = tensor(task, "x")
    x0, lstm = x[0].clone(), task.cell == "LSTM"
    state = None

    def call():
        nonlocal state
        state = cell(x0, state)

    def check():
        y, s = [], None
        for xt in x:
            s = cell(xt, s)
            y.append((s[0] if lstm else s).numpy().copy())
        return y

    return common.Job(call, check, torch.inference_mode)


common.serve({"torch": "%s (%s)" % (torch.__version__, torch.backends.cpu.get_cpu_capability())}, prepare)
