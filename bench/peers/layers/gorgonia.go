package main

import (
	"fmt"
	"slices"

	g "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// buildGorgonia unrolls a graph. There are no layers, so a network is put together
// gate by gate, as the library's examples do, of vectors w·x if B is 1 and else of
// matrices x·wᵀ, so that rows of the products are long.
func buildGorgonia(t *task) ([]float32, func(), error) {
	if err := onlyPlain(t); err != nil {
		return nil, nil, err
	}
	n := &gorgonia{task: t, graph: g.NewGraph()}
	wIH, wHH := n.weights(t.params[0].Data, t.I), n.weights(t.params[1].Data, t.H)
	bIH, bHH := n.biases(t.params[2].Data), n.biases(t.params[3].Data)

	T := t.T
	if t.mode == step {
		T = 1
	}
	h := n.state(make([]float32, t.B*t.H), t.H)
	c := n.state(make([]float32, t.B*t.H), t.H)
	first := []*g.Node{h, c}
	xs, outs := make([]*g.Node, T), make([]g.Value, T)
	var cost *g.Node
	for s := range T {
		x := n.state(t.x[s*t.B*t.I:][:t.B*t.I], t.I)
		xs[s] = x
		in := func(gate int) *g.Node { return g.Must(g.Add(n.product(wIH[gate], x), n.spread(bIH[gate]))) }
		rec := func(gate int) *g.Node { return g.Must(g.Add(n.product(wHH[gate], h), n.spread(bHH[gate]))) }
		sum := func(gate int) *g.Node { return g.Must(g.Add(in(gate), rec(gate))) }
		mul := func(a, b *g.Node) *g.Node { return g.Must(g.HadamardProd(a, b)) }
		sigmoid := func(x *g.Node) *g.Node { return g.Must(g.Sigmoid(x)) }
		tanh := func(x *g.Node) *g.Node { return g.Must(g.Tanh(x)) }
		switch t.cell {
		case "LSTM":
			c = g.Must(g.Add(mul(sigmoid(sum(1)), c), mul(sigmoid(sum(0)), tanh(sum(2)))))
			h = mul(sigmoid(sum(3)), tanh(c))
		case "GRU":
			r, z := sigmoid(sum(0)), sigmoid(sum(1))
			new := tanh(g.Must(g.Add(in(2), mul(r, rec(2)))))
			h = g.Must(g.Add(new, mul(z, g.Must(g.Sub(h, new)))))
		case "RNN":
			h = tanh(sum(0))
		}
		g.Read(h, &outs[s])
		if t.mode.training() {
			part := g.Must(g.Sum(mul(h, n.state(t.dy[s*t.B*t.H:][:t.B*t.H], t.H))))
			if cost == nil {
				cost = part
			} else {
				cost = g.Must(g.Add(cost, part))
			}
		}
	}
	var cell g.Value
	g.Read(c, &cell)

	params := slices.Concat(wIH, wHH, bIH, bHH)
	var options []g.VMOpt
	if cost != nil {
		must(g.Grad(cost, params...))
		options = append(options, g.BindDualValues(params...))
	}
	machine := g.NewTapeMachine(n.graph, options...)
	run := func() {
		machine.Reset()
		for _, p := range params {
			if v, _ := p.Grad(); v != nil {
				v.(tensor.Tensor).Zero()
			}
		}
		if err := machine.RunAll(); err != nil {
			panic(err)
		}
	}

	if t.mode == step {
		next := func(x []float32) {
			copy(floats(xs[0].Value()), x)
			run()
			copy(floats(first[0].Value()), floats(outs[0]))
			copy(floats(first[1].Value()), floats(cell))
		}
		var y []float32
		x := slices.Clone(t.x)
		for x := range slices.Chunk(x, t.B*t.I) {
			next(x)
			y = append(y, floats(outs[0])...)
		}
		return y, func() { next(x[:t.B*t.I]) }, nil
	}
	run()
	var results []float32
	for _, v := range outs {
		results = append(results, floats(v)...)
	}
	if cost != nil {
		for i, p := range params {
			grad := floats(must(p.Grad()))
			if k := []int{t.I, t.H, 1, 1}[i/(len(params)/4)]; k > 1 {
				grad = n.turned(grad, k, t.H)
			}
			results = append(results, grad...)
		}
	}
	return results, run, nil
}

// gorgonia is a graph in the making.
type gorgonia struct {
	*task
	graph *g.ExprGraph
	names int
	ones  *g.Node // [B,1], to spread biases
	full  map[*g.Node]*g.Node
}

func floats(v g.Value) []float32 { return v.Data().([]float32) }

func (n *gorgonia) node(data []float32, shape ...int) *g.Node {
	n.names++
	return g.NewTensor(n.graph, tensor.Float32, len(shape), g.WithShape(shape...), g.WithName(fmt.Sprint("n", n.names)),
		g.WithValue(tensor.New(tensor.WithShape(shape...), tensor.WithBacking(slices.Clone(data)))))
}

// state is a node of B rows of k elements.
func (n *gorgonia) state(data []float32, k int) *g.Node {
	if n.B == 1 {
		return n.node(data, k)
	}
	return n.node(data, n.B, k)
}

// weights are the nodes of the gates.
func (n *gorgonia) weights(p []float32, k int) (nodes []*g.Node) {
	for w := range slices.Chunk(p, n.H*k) {
		if n.B == 1 {
			nodes = append(nodes, n.node(w, n.H, k))
		} else {
			nodes = append(nodes, n.node(n.turned(w, n.H, k), k, n.H))
		}
	}
	return nodes
}

// turned transposes m [rows][columns], if weights are transposed.
func (n *gorgonia) turned(m []float32, rows, columns int) []float32 {
	if n.B == 1 {
		return m
	}
	out := make([]float32, len(m))
	for i, v := range m {
		out[i%columns*rows+i/columns] = v
	}
	return out
}

func (n *gorgonia) product(w, x *g.Node) *g.Node {
	if n.B == 1 {
		return g.Must(g.Mul(w, x))
	}
	return g.Must(g.Mul(x, w))
}

func (n *gorgonia) biases(p []float32) (nodes []*g.Node) {
	for b := range slices.Chunk(p, n.H) {
		if n.B == 1 {
			nodes = append(nodes, n.node(b, n.H))
		} else {
			nodes = append(nodes, n.node(b, 1, n.H))
		}
	}
	return nodes
}

// spread is a bias in every row, made once by a product: the gradient of
// OuterProd fails.
func (n *gorgonia) spread(b *g.Node) *g.Node {
	if n.B == 1 {
		return b
	}
	if n.full[b] == nil {
		if n.ones == nil {
			n.full, n.ones = map[*g.Node]*g.Node{}, n.node(slices.Repeat([]float32{1}, n.B), n.B, 1)
		}
		n.full[b] = g.Must(g.Mul(n.ones, b))
	}
	return n.full[b]
}
