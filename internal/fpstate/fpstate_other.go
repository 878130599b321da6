//go:build purego || !(amd64 || arm64)

package fpstate

const Supported = false

func Get() uint32 { panic("fpstate: not supported") }
func Set(uint32)  { panic("fpstate: not supported") }
