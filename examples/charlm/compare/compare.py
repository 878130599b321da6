"""The peer of "charlm compare": trains the same network in PyTorch.

It is started with a folder that charlm has written: config.json, init.safetensors
and batches.bin. Each line of standard input is a number of steps; the answer is a
line of JSON with their losses and the seconds they took.
"""

import json
import os
import struct
import sys
import time

import torch
from torch import nn


class CharLM(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.embedding = nn.Embedding(cfg["vocab"], cfg["embed"])
        cell = {"lstm": nn.LSTM, "gru": nn.GRU}[cfg["cell"]]
        self.rnn = cell(cfg["embed"], cfg["hidden"], cfg["layers"], dropout=cfg["dropout"])
        self.head = nn.Linear(cfg["hidden"], cfg["vocab"])

    def forward(self, x, state):
        h, state = self.rnn(self.embedding(x), state)
        return self.head(h), state


def read_safetensors(path):
    with open(path, "rb") as f:
        header = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
        data = bytearray(f.read())
    header.pop("__metadata__", None)
    tensors = {}
    for name, t in header.items():
        assert t["dtype"] == "F32", name
        begin, end = t["data_offsets"]
        tensors[name] = torch.frombuffer(data[begin:end], dtype=torch.float32).reshape(t["shape"])
    return tensors


def detach(state):
    return tuple(s.detach() for s in state) if isinstance(state, tuple) else state.detach()


def main(folder):
    with open(os.path.join(folder, "config.json")) as f:
        cfg = json.load(f)
    torch.set_num_threads(cfg["threads"])
    T, B = cfg["unroll"], cfg["batch"]
    with open(os.path.join(folder, "batches.bin"), "rb") as f:
        batches = torch.frombuffer(bytearray(f.read()), dtype=torch.uint8).reshape(cfg["steps"], 2, T, B).long()

    torch.manual_seed(cfg["seed"])
    model = CharLM(cfg)
    weights = read_safetensors(os.path.join(folder, "init.safetensors"))
    drawn = model.state_dict()
    same = drawn.keys() == weights.keys() and all(torch.equal(drawn[k], w) for k, w in weights.items())
    print("PyTorch %s; weights after manual_seed(%d) are %s" %
          (torch.__version__, cfg["seed"], "the same bits" if same else "NOT the same"), file=sys.stderr)
    model.load_state_dict(weights)

    loss_of = nn.CrossEntropyLoss()
    opt = torch.optim.Adam(model.parameters(), lr=cfg["lr"], betas=(0.9, cfg["beta2"]))
    warmup = max(1, cfg["warmup"])
    schedule = torch.optim.lr_scheduler.SequentialLR(opt, [
        torch.optim.lr_scheduler.LinearLR(opt, 1 / (cfg["warmup"] + 1), 1, warmup),
        torch.optim.lr_scheduler.CosineAnnealingLR(opt, max(1, cfg["steps"] - cfg["warmup"])),
    ], [warmup])

    step, states = 0, [None] * cfg["groups"]
    for line in sys.stdin:
        losses = []
        began = time.perf_counter()
        for _ in range(int(line)):
            x, y = batches[step]
            group = step % cfg["groups"]
            step += 1
            logits, state = model(x, states[group])
            loss = loss_of(logits.flatten(0, 1), y.flatten())
            opt.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), cfg["clip"])
            opt.step()
            schedule.step()
            states[group] = detach(state)
            losses.append(loss.item())
        print(json.dumps({"loss": losses, "seconds": time.perf_counter() - began}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
