package train

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/simdrnn/simdrnn/internal/kerneltest"
)

func TestMain(m *testing.M) { kerneltest.Main(m) }

// golden holds results of PyTorch.
type golden struct {
	CE struct {
		Classes         int
		Targets         []int
		Logits, DLogits []float64
		Loss            float64
	}
}

func loadGolden(t *testing.T) (g golden) {
	b, err := os.ReadFile("testdata/golden.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, &g))
	return g
}
