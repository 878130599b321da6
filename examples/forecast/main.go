package main

import (
	"fmt"
	"math"
	"os"
	"time"
	"flag"
)

func main() {
	var cfg config
	var lags int
	var K int
	flag.StringVar(&cfg.cell, "cell", "lstm", "")
	flag.IntVar(&cfg.hidden, "hidden", 32, "")
	flag.IntVar(&cfg.layers, "layers", 1, "")
	flag.IntVar(&cfg.window, "window", 256, "")
	flag.IntVar(&cfg.batch, "batch", 32, "")
	flag.IntVar(&cfg.batches, "batches", 100, "")
	flag.IntVar(&cfg.epochs, "epochs", 20, "")
	flag.IntVar(&cfg.patience, "patience", 5, "")
	flag.Float64Var(&cfg.lr, "lr", 5e-3, "")
	flag.Int64Var(&cfg.seed, "seed", 0, "")
	flag.IntVar(&lags, "lags", 24, "")
	flag.IntVar(&K, "horizon", 96, "")
	flag.Parse()
	d := newData(house(160, 0), .7, .15)
	fmt.Println(d.describe())
	t0 := time.Now()
	n, err := newNetwork(d, cfg)
	if err != nil { panic(err) }
	if err := n.train(os.Stdout); err != nil { panic(err) }
	fmt.Println(time.Since(t0))
	t0 = time.Now()
	fs := []forecaster{persistence{d}, seasonal{d}}
	for _, p := range []int{8, 24, 48, 96} {
		ar, err := newAutoregression(d, p)
		if err != nil { panic(err) }
		fs = append(fs, ar)
	}
	fmt.Println(time.Since(t0))
	fs = append(fs, n)
	or := d.spread(d.origins(d.validEnd, d.rows(), 96, K), 256)
	fmt.Println(len(or))
	for _, f := range fs {
		y := make([]float64, len(or)*K*d.C)
		f.forecast(y, or, K)
		fmt.Printf("%-20s", f.name())
		for j := range d.C {
		for _, k := range []int{1, 4, 16, 48, 96} {
			s := 0.
			for i, o := range or {
				e := y[(i*K+k-1)*d.C+j] - d.row(o + k)[j]
				s += e * e
			}
			fmt.Printf(" %7.3f", math.Sqrt(s/float64(len(or))))
		}
		fmt.Print(" |")
		}
		fmt.Println()
	}
}
