package reference

import "math"

// A Reduction is what PyTorch calls one.
type Reduction string

const (
	Mean Reduction = "mean"
	Sum  Reduction = "sum"
	None Reduction = "none"
)

// reduce returns the reduction of losses, which divides by count if it is Mean,
// and scales the gradient d of each loss alone alike. Then a count of 0 makes 0.
func reduce(r Reduction, count float64, losses, d []float64) []float64 {
	if r == None {
		return losses
	}
	scale := 1.0
	switch {
	case r == Mean && count == 0:
		scale = 0
	case r == Mean:
		scale = 1 / count
	}
	sum := 0.0
	for _, l := range losses {
		sum += l
	}
	for i := range d {
		d[i] *= scale
	}
	return []float64{sum * scale}
}

// CrossEntropyLoss are the arguments of nn.CrossEntropyLoss.
type CrossEntropyLoss struct {
	Classes   int
	Weight    []float64 // nil: ones
	Ignore    int       // the target that is left out
	Smoothing float64
	Reduction Reduction
}

// CrossEntropy is CrossEntropyLoss() of logits [N,C] and class indices, where a
// target of -100 is left out of the mean.
func CrossEntropy(logits []float64, targets []int) (loss float64, dlogits []float64) {
	N := len(targets)
	l := CrossEntropyLoss{Classes: len(logits) / max(1, N), Ignore: -100, Reduction: Mean}
	losses, dlogits := l.Indices(logits, targets)
	return losses[0], dlogits
}

func (l CrossEntropyLoss) weight(c int) float64 {
	if l.Weight == nil {
		return 1
	}
	return l.Weight[c]
}

// Indices returns the loss for class indices, one number or those of the rows,
// and the gradient of their sum. The mean is weighted:
//
//	loss_i = (1-e) w[y] -lp[y] + e/C sum_c w[c] -lp[c],   lp = log softmax(logits_i), y = targets_i
//	mean = sum_i loss_i / sum_i w[targets_i]
func (l CrossEntropyLoss) Indices(logits []float64, targets []int) (loss, dlogits []float64) {
	coefs := make([]float64, len(logits))
	weights := 0.0
	for i, y := range targets {
		if y == l.Ignore {
			continue
		}
		weights += l.weight(y)
		k := row(coefs, len(targets), i)
		for c := range k {
			k[c] = l.Smoothing / float64(l.Classes) * l.weight(c)
		}
		k[y] += (1 - l.Smoothing) * l.weight(y)
	}
	return l.sum(weights, logits, coefs)
}

// Probs is Indices with probabilities q:
//
//	loss_i = sum_c w[c] ((1-e) q_i[c] + e/C) -lp[c]
//	mean = sum_i loss_i / N
func (l CrossEntropyLoss) Probs(logits, probs []float64) (loss, dlogits []float64) {
	coefs := make([]float64, len(logits))
	for i, q := range probs {
		coefs[i] = l.weight(i%l.Classes) * ((1-l.Smoothing)*q + l.Smoothing/float64(l.Classes))
	}
	return l.sum(float64(len(logits)/l.Classes), logits, coefs)
}

// sum is what both kinds of targets have in common:
//
//	loss_i = sum_c k_i[c] -lp[c],   dloss_i/dlogits_i = (sum_c k_i[c]) softmax(logits_i) - k_i
func (l CrossEntropyLoss) sum(count float64, logits, coefs []float64) (loss, dlogits []float64) {
	N := len(logits) / l.Classes
	losses, dlogits := make([]float64, N), make([]float64, len(logits))
	for i := range N {
		lp, k, d := LogSoftmax(row(logits, N, i)), row(coefs, N, i), row(dlogits, N, i)
		total := 0.0
		for c := range k {
			if k[c] != 0 {
				total += k[c]
				losses[i] -= k[c] * lp[c]
			}
		}
		for c := range k {
			d[c] = total*math.Exp(lp[c]) - k[c]
		}
	}
	return reduce(l.Reduction, count, losses, dlogits), dlogits
}

// LogSoftmax returns x - log sum exp(x) of one row.
func LogSoftmax(x []float64) []float64 {
	top, sum := math.Inf(-1), 0.0
	for _, v := range x {
		top = max(top, v)
	}
	for _, v := range x {
		sum += math.Exp(v - top)
	}
	lp := make([]float64, len(x))
	for c, v := range x {
		lp[c] = v - top - math.Log(sum)
	}
	return lp
}

// NLL is nn.NLLLoss of log-probabilities [N,C], with a weighted mean:
//
//	loss_i = -w[y] lp_i[y],   y = targets_i
func (l CrossEntropyLoss) NLL(logp []float64, targets []int) (loss, dlogp []float64) {
	N := len(targets)
	losses, dlogp := make([]float64, N), make([]float64, len(logp))
	weights := 0.0
	for i, y := range targets {
		if y != l.Ignore {
			weights += l.weight(y)
			losses[i] = -l.weight(y) * row(logp, N, i)[y]
			row(dlogp, N, i)[y] = -l.weight(y)
		}
	}
	return reduce(l.Reduction, weights, losses, dlogp), dlogp
}

// An ElementLoss returns the loss of x with target t, and its derivative by x.
type ElementLoss func(x, t float64) (loss, dx float64)

// Elementwise returns the loss of all elements, one number or one each, and the
// gradient of their sum.
func Elementwise(f ElementLoss, r Reduction, x, target []float64) (loss, dx []float64) {
	losses, dx := make([]float64, len(x)), make([]float64, len(x))
	for i := range x {
		losses[i], dx[i] = f(x[i], target[i])
	}
	return reduce(r, float64(len(x)), losses, dx), dx
}

// MSE is nn.MSELoss.
func MSE(x, t float64) (loss, dx float64) { return (x - t) * (x - t), 2 * (x - t) }

// L1 is nn.L1Loss.
func L1(x, t float64) (loss, dx float64) { return SmoothL1(0)(x, t) }

// SmoothL1 is nn.SmoothL1Loss.
func SmoothL1(beta float64) ElementLoss {
	return func(x, t float64) (loss, dx float64) {
		switch d := x - t; {
		case math.Abs(d) < beta:
			return d * d / (2 * beta), d / beta
		case d == 0:
			return 0, 0
		default:
			return math.Abs(d) - beta/2, math.Copysign(1, d)
		}
	}
}

// Huber is nn.HuberLoss.
func Huber(delta float64) ElementLoss {
	return func(x, t float64) (loss, dx float64) {
		d := x - t
		if math.Abs(d) <= delta {
			return d * d / 2, d
		}
		return delta * (math.Abs(d) - delta/2), math.Copysign(delta, d)
	}
}

// BCEWithLogits is nn.BCEWithLogitsLoss for one element's weights. With p =
// sigmoid(x) the loss is -weight (posWeight t log p + (1-t) log(1-p)).
func BCEWithLogits(weight, posWeight float64) ElementLoss {
	logSigmoid := func(x float64) float64 { return min(x, 0) - math.Log1p(math.Exp(-math.Abs(x))) }
	return func(x, t float64) (loss, dx float64) {
		loss = -weight * (posWeight*t*logSigmoid(x) + (1-t)*logSigmoid(-x))
		dx = weight * ((1-t)*math.Exp(logSigmoid(x)) - posWeight*t*math.Exp(logSigmoid(-x)))
		return loss, dx
	}
}

// CTC is the loss of nn.CTCLoss and its gradient for one sequence: logp [T,C],
// labels y. The states are blanks and labels in turn, L = 2S+1, and
//
//	alpha_t[s] = logp_t[label s] + log sum of exp of alpha_t-1 at s, s-1, and s-2 if it is another label
//	beta_t[s] = log sum of exp of logp_t+1[label r] + beta_t+1[r] at r = s, s+1, and s+2 if it is another label
//	loss = -(alpha_T-1[L-1] and alpha_T-1[L-2], added likewise)
//	dlogp_t[c] = exp(logp_t[c]) - sum over s with label c of exp(alpha_t[s] + beta_t[s] + loss)
//
// It is +Inf if no alignment exists, with a gradient of NaN.
func CTC(logp []float64, C, blank int, y []int) (loss float64, dlogp []float64) {
	T, L := len(logp)/C, 2*len(y)+1
	dlogp = make([]float64, len(logp))
	if T == 0 {
		if L == 1 {
			return 0, dlogp
		}
		return math.Inf(1), dlogp
	}
	label := func(s int) int {
		if s%2 == 0 {
			return blank
		}
		return y[s/2]
	}
	// before lists the states that may come before s; s >= 0.
	before := func(s int) []int {
		switch {
		case s == 0:
			return []int{0}
		case s%2 == 1 && s > 1 && label(s) != label(s-2):
			return []int{s, s - 1, s - 2}
		}
		return []int{s, s - 1}
	}
	alpha, beta := make([]float64, T*L), make([]float64, T*L)
	for i := range alpha {
		alpha[i], beta[i] = math.Inf(-1), math.Inf(-1)
	}
	for t := range T {
		a := row(alpha, T, t)
		for s := range L {
			switch {
			case t > 0:
				for _, r := range before(s) {
					a[s] = addLogs(a[s], row(alpha, T, t-1)[r])
				}
			case s < 2:
				a[s] = 0
			}
			a[s] += row(logp, T, t)[label(s)]
		}
	}
	for t := T - 1; t >= 0; t-- {
		for s := range L {
			if t == T-1 {
				if s >= L-2 {
					row(beta, T, t)[s] = 0
				}
				continue
			}
			for _, r := range before(s) {
				b := row(beta, T, t)
				b[r] = addLogs(b[r], row(logp, T, t+1)[label(s)]+row(beta, T, t+1)[s])
			}
		}
	}
	end := row(alpha, T, T-1)
	loss = -end[L-1]
	if L > 1 {
		loss = -addLogs(end[L-1], end[L-2])
	}
	for t := range T {
		lp, d := row(logp, T, t), row(dlogp, T, t)
		for c := range d {
			d[c] = math.Exp(lp[c])
		}
		for s := range L {
			d[label(s)] -= math.Exp(row(alpha, T, t)[s] + row(beta, T, t)[s] + loss)
		}
		if math.IsInf(loss, 1) {
			for c := range d {
				d[c] = math.NaN()
			}
		}
	}
	return loss, dlogp
}

// addLogs returns log(exp(a) + exp(b)).
func addLogs(a, b float64) float64 {
	if math.IsInf(max(a, b), -1) {
		return max(a, b)
	}
	return max(a, b) + math.Log1p(math.Exp(-math.Abs(a-b)))
}
