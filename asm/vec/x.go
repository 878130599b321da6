package vec

import (
	_ "github.com/mmcloughlin/avo/build"
	_ "github.com/stretchr/testify/require"
	_ "golang.org/x/arch/arm64/arm64asm"
)
