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
	n.unroll()
	n.compile()
	if t.mode == step {
		y, call := n.steps()
		return y, call, nil
	}
	n.run()
	return n.results(), n.run, nil
}

// gorgonia is a graph, and what is written to it and read from it.
type gorgonia struct {
	*task
	graph              *g.ExprGraph
	machine            g.VM
	wIH, wHH, bIH, bHH []*g.Node // of the gates
	nodes              []*g.Node // all of them
	h0, c0             *g.Node
	xs                 []*g.Node // [T]
	hs                 []g.Value // [T]
	cn                 g.Value
	cost               *g.Node // in training

	names int
	ones  *g.Node // [B,1], to spread biases
	full  map[*g.Node]*g.Node
}

// unroll makes the graph of all steps, or of one that is to be made again and again.
func (n *gorgonia) unroll() {
	n.wIH, n.wHH = n.weights(n.params[0].Data, n.I), n.weights(n.params[1].Data, n.H)
	n.bIH, n.bHH = n.biases(n.params[2].Data), n.biases(n.params[3].Data)
	n.nodes = slices.Concat(n.wIH, n.wHH, n.bIH, n.bHH)

	T := n.T
	if n.mode == step {
		T = 1
	}
	n.h0 = n.state(make([]float32, n.B*n.H), n.H)
	n.c0 = n.state(make([]float32, n.B*n.H), n.H)
	n.xs, n.hs = make([]*g.Node, T), make([]g.Value, T)
	h, c := n.h0, n.c0
	for s := range T {
		n.xs[s] = n.state(n.x[s*n.B*n.I:][:n.B*n.I], n.I)
		h, c = n.next(n.xs[s], h, c)
		g.Read(h, &n.hs[s])
		if n.mode.training() {
			part := g.Must(g.Sum(g.Must(g.HadamardProd(h, n.state(n.dy[s*n.B*n.H:][:n.B*n.H], n.H)))))
			if n.cost == nil {
				n.cost = part
			} else {
				n.cost = g.Must(g.Add(n.cost, part))
			}
		}
	}
	g.Read(c, &n.cn)
}

// next is one step of the cell.
func (n *gorgonia) next(x, h, c *g.Node) (*g.Node, *g.Node) {
	in := func(gate int) *g.Node { return g.Must(g.Add(n.product(n.wIH[gate], x), n.spread(n.bIH[gate]))) }
	rec := func(gate int) *g.Node { return g.Must(g.Add(n.product(n.wHH[gate], h), n.spread(n.bHH[gate]))) }
	sum := func(gate int) *g.Node { return g.Must(g.Add(in(gate), rec(gate))) }
	mul := func(a, b *g.Node) *g.Node { return g.Must(g.HadamardProd(a, b)) }
	sigmoid := func(x *g.Node) *g.Node { return g.Must(g.Sigmoid(x)) }
	tanh := func(x *g.Node) *g.Node { return g.Must(g.Tanh(x)) }
	switch n.cell {
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
	return h, c
}

// compile makes the machine that runs the graph, backward too if there is a cost.
func (n *gorgonia) compile() {
	var options []g.VMOpt
	if n.cost != nil {
		must(g.Grad(n.cost, n.nodes...))
		options = append(options, g.BindDualValues(n.nodes...))
	}
	n.machine = g.NewTapeMachine(n.graph, options...)
}

// run is a call, from zero gradients.
func (n *gorgonia) run() {
	n.machine.Reset()
	for _, p := range n.nodes {
		if v, _ := p.Grad(); v != nil {
			v.(tensor.Tensor).Zero()
		}
	}
	if err := n.machine.RunAll(); err != nil {
		panic(err)
	}
}

// steps makes all steps, and returns their outputs and a call of one more.
func (n *gorgonia) steps() ([]float32, func()) {
	next := func(x []float32) {
		copy(floats(n.xs[0].Value()), x)
		n.run()
		copy(floats(n.h0.Value()), floats(n.hs[0]))
		copy(floats(n.c0.Value()), floats(n.cn))
	}
	var y []float32
	x := slices.Clone(n.x)
	for x := range slices.Chunk(x, n.B*n.I) {
		next(x)
		y = append(y, floats(n.hs[0])...)
	}
	return y, func() { next(x[:n.B*n.I]) }
}

// results are the outputs of the last call, and its gradients in training.
func (n *gorgonia) results() []float32 {
	var results []float32
	for _, v := range n.hs {
		results = append(results, floats(v)...)
	}
	if n.cost == nil {
		return results
	}
	for i, p := range n.nodes {
		grad := floats(must(p.Grad()))
		if k := []int{n.I, n.H, 1, 1}[i/(len(n.nodes)/4)]; k > 1 {
			grad = n.turned(grad, k, n.H)
		}
		results = append(results, grad...)
	}
	return results
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
