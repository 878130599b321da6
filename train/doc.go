// Package train holds what turns a tape's forward and backward passes into
// training: losses, optimizers, clipping and learning rates with PyTorch's
// semantics.
//
// A step of training computes outputs, the loss and its gradient, passes the
// gradient back, and updates the parameters:
//
//	tape, head := lstm.NewTape(T, B), linear.NewTape(B)
//	params := slices.Concat(tape.Params(), head.Params())
//	ce, err := train.NewCrossEntropy(train.CrossEntropyConfig{Classes: classes})
//	opt, err := train.NewAdam(params, train.DefaultAdam())
//	schedule, err := train.NewCosineAnnealingLR(opt, steps, 0)
//	for x, targets := range batches {
//		h := tape.Forward(x)                                   // [T,B,H]
//		logits := head.Forward(last(h))                        // [B,classes]
//		loss, _, err := ce.Forward(dlogits, logits, targets)   // and dlogits
//		params.ZeroGrad()                                      // Backward adds
//		head.Backward(last(dh), dlogits)
//		tape.Backward(nil, dh)                                 // nil: no dx
//		norm, err := train.ClipGradNorm(params, 1)
//		opt.Step()                                             // and packs
//		schedule.Step()
//	}
//
// Here last is the part of the last step, and dh is zero before it. The
// gradients belong to the tape, the parameters to the model; the optimizer
// writes the model, so nobody may read it during Step.
//
// Constructors return errors. After construction nothing allocates. A loss and
// an optimizer serve one goroutine at a time.
//
// SetThreads of an optimizer makes Step share its work, as that of a tape does.
// Losses and clipping use one thread. They read each logit or gradient once or
// twice, while the products of the same step read it once for every hidden unit or
// row: with 100 classes and 128 hidden units they take 3 % of a step, and less the
// larger the network is.
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
// # Optimizers
//
// Each [Optimizer] states its equations and their source. Its parameters stand in
// groups with settings of their own; [Schedule] and [ReduceLROnPlateau] change
// the learning rates, and some the momentum, of the groups. State and LoadState
// of both carry a run over to another process, bit for bit.
//
// The numbers that an update shares, such as bias corrections, are computed in
// float64 and rounded to float32 once, powers and cosines by package math. What
// the update does to an element is that of its kernel, [kernels.Adam] and the
// like: its portable path differs from the others by at most 2 ulp of the largest
// term, and on float64 it is PyTorch's within 1e-12.
//
// # Checkpoints
//
// A [Checkpoint] is a run in one file, from which it goes on bit for bit.
//
// # Numbers
//
// AVX2, AVX-512 and NEON give the same bits. A sum over the classes of a row or
// over elements is in the order of [kernels.Sum]; rows are added in order in
// float64. Logarithms come from package math, rounded to float32: about one in
// 2^28 may differ between architectures.
package train
