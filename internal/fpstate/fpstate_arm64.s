//go:build !purego

#include "textflag.h"

// func Get() uint32
TEXT ·Get(SB), NOSPLIT, $0-4
	MRS  FPCR, R0
	MOVW R0, ret+0(FP)
	RET

// func Set(state uint32)
TEXT ·Set(SB), NOSPLIT, $0-4
	MOVWU state+0(FP), R0
	MSR   R0, FPCR
	RET
