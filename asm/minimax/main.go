// Command minimax derives the numbers of package approx and prints them as
// package kernels holds them, after a table of errors.
//
// Coefficients are those whose largest relative error on an interval is least,
// by Remez' exchange in numbers of 192 bits. They are rounded to float32 one
// after the other, and the rest is fitted again each time. What is in use has
// other last bits: small changes of what is fitted decide which way coefficients
// are rounded. Those of tanh and exp were rounded all at once. So the tests
// compare errors, and bits only of the logarithms and expNeg5.
package main

import (
	"errors"
	"fmt"
	"log"
	"math/big"
	"sync"

	"github.com/simdrnn/simdrnn/asm/approx"
)

func main() {
	log.SetFlags(0)
	if err := run(); err != nil {
		log.Fatal("minimax: ", err)
	}
}

func run() error {
	results, err := solveAll()
	if err != nil {
		return err
	}
	var fits []*approx.Fit
	fmt.Printf("Largest relative errors of coefficients\n%-10s%12s%12s%12s\n", "", "real", "float32", "in use")
	for _, r := range results {
		fmt.Printf("%-10s%12.3e%12.3e%12.3e\n", r.fit.Poly.Name, r.real, r.fit.Error, r.inUse)
		fits = append(fits, &r.fit)
	}
	log2E, ln, hi, lo := logarithms()
	fmt.Printf("\n1/ln 2 = %x, ln 2 = %x, %x + %x\n\n", log2E, ln, hi, lo)
	text, err := approx.Source("", fits)
	fmt.Printf("%s", text)
	return err
}

// solveAll solves all tasks.
func solveAll() ([]result, error) {
	list := tasks()
	results, errs := make([]result, len(list)), make([]error, len(list))
	var wg sync.WaitGroup
	for i, t := range list {
		wg.Go(func() {
			if results[i], errs[i] = t.solve(); errs[i] != nil {
				errs[i] = fmt.Errorf("%s: %w", t.Poly.Name, errs[i])
			}
		})
	}
	wg.Wait()
	return results, errors.Join(errs...)
}

// logarithms returns the constants of package approx with these names.
func logarithms() (log2E, ln, ln2Hi, ln2Lo float32) {
	hi := new(big.Float).Copy(ln2()).SetPrec(16)
	return float32Of(quo(one, ln2())), float32Of(ln2()), float32Of(hi), float32Of(sub(ln2(), hi))
}
