package train

import (
	"os"
	"testing"

	"github.com/simdrnn/simdrnn/internal/kerneltest"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(saveForever); path != "" {
		saveUntilKilled(path)
	}
	kerneltest.Main(m)
}
