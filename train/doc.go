// Package train holds what turns a tape's forward and backward passes into
// training: losses and optimizers with PyTorch's semantics.
//
// A step of training computes outputs, the loss and its gradient, passes the
// gradient back, and updates the parameters:
//
//	tape, head := lstm.NewTape(T, B), linear.NewTape(B)
//	params := slices.Concat(tape.Params(), head.Params())
//	ce, err := train.NewCrossEntropy(train.CrossEntropyConfig{Classes: classes})
//	opt, err := train.NewAdam(params, train.DefaultAdam())
//	for x, targets := range batches {
//		h := tape.Forward(x)                                   // [T,B,H]
//		logits := head.Forward(last(h))                        // [B,classes]
//		loss, _, err := ce.Forward(dlogits, logits, targets)   // and dlogits
//		params.ZeroGrad()                                      // Backward adds
//		head.Backward(last(dh), dlogits)
//		tape.Backward(nil, dh)                                 // nil: no dx
//		opt.Step()                                             // and packs
//	}
//
// Here last is the part of the last step, and dh is zero before it. The
// gradients belong to the tape, the parameters to the model; the optimizer
// writes the model, so nobody may read it during Step.
//
// Constructors return errors. After construction nothing allocates. A loss and
// an optimizer serve one goroutine at a time.
//
// # Losses
//
// A loss computes its value and its gradient in one call:
//
//	loss, n, err := l.Forward(dx, x, targets)
//
// n is the number of rows or elements that count; err, where targets are class
// indices, is about one that is not a class. dx may be x, or nil if only
// the loss is wanted. The zero configuration is PyTorch's default but for Classes
// and sizes, and for [NewSmoothL1] and [NewHuber], which have a function for it.
//
//	CrossEntropy      logits [N,C], class indices [N] or probabilities [N,C]
//	NLL, LogSoftmax   log-probabilities [N,C], class indices [N]
//	MSE, L1, SmoothL1, Huber, BCEWithLogits   elements, as many targets
//	CTC               log-probabilities [T,B,C], labels of B sequences
//
// ForwardSeq takes a [Seq] too: the lengths of padded sequences, whose padding
// then counts as little as a target in IgnoreIndex, and with the reduction None
// the losses of rows and the gradients with respect to them.
//
// A mean over nothing is 0, as is its gradient, and n says so; PyTorch's is NaN.
// Errors, and wrong lengths of arguments, which panic, leave everything
// unwritten.
//
// # Numbers
//
// AVX2, AVX-512 and NEON give the same bits. A sum over the classes of a row or
// over elements is in the order of [kernels.Sum]; rows are added in order in
// float64. Logarithms come from package math, rounded to float32: about one in
// 2^28 may differ between architectures.
package train
