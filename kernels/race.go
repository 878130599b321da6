//go:build race

package kernels

import (
	"runtime"
	"unsafe"
)

const raceEnabled = true

// The race detector does not see what assembly reads and writes. These tell it.

func raceRead[F Float](s []F) {
	if len(s) > 0 {
		runtime.RaceReadRange(unsafe.Pointer(&s[0]), int(unsafe.Sizeof(s[0]))*len(s))
	}
}

func raceWrite[F Float](s []F) {
	if len(s) > 0 {
		runtime.RaceWriteRange(unsafe.Pointer(&s[0]), int(unsafe.Sizeof(s[0]))*len(s))
	}
}

func raceReadMat(m Mat, rows, cols int) {
	for b := range rowsOf(rows, cols) {
		raceRead(m.row(b, cols))
	}
}

func raceWriteMat(m Mat, rows, cols int) {
	for b := range rowsOf(rows, cols) {
		raceWrite(m.row(b, cols))
	}
}
