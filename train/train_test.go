package train

import (
	"testing"

	"github.com/simdrnn/simdrnn/internal/kerneltest"
)

func TestMain(m *testing.M) { kerneltest.Main(m) }
