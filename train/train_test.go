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
	Adam struct {
		P0    []float64
		Grads [][]float64
		Runs  map[string]struct {
			Args struct {
				LR          float64
				WeightDecay float64 `json:"weight_decay"`
			}
			Params [][]float64 // after each step
		}
	}
}

func loadGolden(t *testing.T) (g golden) {
	b, err := os.ReadFile("testdata/golden.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, &g))
	return g
}
