package main

import "github.com/simdrnn/simdrnn/asm/vec"

// adam emits
//
//	p = p*Decay
//	g = fma(WeightDecay, p, g)
//	m = fma(OneMinusBeta1, g-m, m)
//	v = fma(OneMinusBeta2*g, g, Beta2*v)
//	p = p - Step*(m / (sqrt(v)/BiasCorrection2Sqrt + Eps))
func optimizers(g *vec.Gen, _ target) {
	k := g.Flat("adam", "makes one step of Adam.", []string{"p", "grad", "m", "v"}, ", s *AdamScalars")
	s := k.Arg("s")
	scalar := func(field string) vec.R { return splat(k, k.Field(s, "AdamScalars", field)) }
	decay, weightDecay := scalar("Decay"), scalar("WeightDecay")
	rest1, beta2, rest2 := scalar("OneMinusBeta1"), scalar("Beta2"), scalar("OneMinusBeta2")
	step, correction, eps := scalar("Step"), scalar("BiasCorrection2Sqrt"), scalar("Eps")
	k.Map(1, func() {
		p := g.Mul(k.Load("p", 0), k.All(decay))
		d := g.FMA(p, k.All(weightDecay), k.Load("grad", 0))
		m := k.Load("m", 0)
		m = g.FMA(g.Sub(d, m), k.All(rest1), m)
		v := g.FMA(g.Mul(d, k.All(rest2)), d, g.Mul(k.Load("v", 0), k.All(beta2)))
		k.Store("m", 0, m)
		k.Store("v", 0, v)
		den := g.Add(g.Div(g.Sqrt(v), k.All(correction)), k.All(eps))
		k.Store("p", 0, g.Sub(p, g.Mul(g.Div(m, den), k.All(step))))
	})
}
