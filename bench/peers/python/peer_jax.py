"""JAX: lax.scan over the steps, compiled by XLA, with the product of the whole input
before the scan."""

import os

import common

settings = common.settings()
os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + (
    " --xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1" if settings["threads"] == 1 else ""
)
os.environ["JAX_PLATFORMS"] = "cpu"

import jax
import jax.numpy as jnp
from jax import lax, nn


def cell(kind, a, m, state):
    """The state after a step; a is the input's part with its bias, m the state's."""
    if kind == "RNN":
        return (jnp.tanh(a + m),)
    if kind == "GRU":
        (h,) = state
        ar, az, an = jnp.split(a, 3, axis=-1)
        mr, mz, mn = jnp.split(m, 3, axis=-1)
        r, z = nn.sigmoid(ar + mr), nn.sigmoid(az + mz)
        n = jnp.tanh(an + r * mn)
        return (n + z * (h - n),)
    i, f, g, o = jnp.split(a + m, 4, axis=-1)
    c = nn.sigmoid(f) * state[1] + nn.sigmoid(i) * jnp.tanh(g)
    return (nn.sigmoid(o) * jnp.tanh(c), c)


def load(task):
    """The parameters, weights transposed: the products of a scan want them so."""
    return {n: jnp.asarray(task[n].T.copy()) for n in task.params}


def forward(kind, layers, directions, params, x):
    for k in range(layers):
        ys = []
        for end in ("", "_reverse")[:directions]:
            w, u, b, d = (params[n + "_l%d%s" % (k, end)] for n in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))

            def step(state, a):
                state = cell(kind, a, state[0] @ u + d, state)
                return state, state[0]

            zero = jnp.zeros((x.shape[1], u.shape[0]))
            state = (zero, zero) if kind == "LSTM" else (zero,)
            ys.append(lax.scan(step, state, x @ w + b, reverse=end != "")[1])
        x = jnp.concatenate(ys, axis=-1) if directions == 2 else ys[0]
    return x


def prepare(task):
    params = load(task)
    x = jnp.asarray(task["x"])

    def net(params, x):
        return forward(task.cell, task.layers, task.directions, params, x)

    if task.mode == "step":
        return step(task, params, x)
    if task.mode == "forward":
        f = jax.jit(net)
        return common.Job(lambda: f(params, x).block_until_ready(), lambda: [jax.device_get(f(params, x))])

    dy = jnp.asarray(task["dy"])

    @jax.jit
    def train(params, x, dy):
        y, back = jax.vjp(lambda p: net(p, x), params)
        if task.mode == "last":
            dy = jnp.zeros_like(y).at[-1].set(dy[-1])
        return y, back(dy)[0]

    def check():
        y, grads = train(params, x, dy)
        return [jax.device_get(y)] + [jax.device_get(grads[n]).T for n in task.params]

    return common.Job(lambda: jax.block_until_ready(train(params, x, dy)), check)


def step(task, params, x):
    w, u, b, d = (params[n + "_l0"] for n in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))

    @jax.jit
    def f(x, state):
        return cell(task.cell, x @ w + b, state[0] @ u + d, state)

    zero = jnp.zeros((task.B, task.H))
    start = (zero, zero) if task.cell == "LSTM" else (zero,)
    state, x0 = start, x[0]

    def call():
        nonlocal state
        state = jax.block_until_ready(f(x0, state))

    def check():
        y, s = [], start
        for xt in x:
            s = f(xt, s)
            y.append(jax.device_get(s[0]))
        return y

    return common.Job(call, check)


common.serve({"jax": jax.__version__, "jaxlib": jax.lib.__version__}, prepare)
