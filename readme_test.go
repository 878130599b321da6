package simdrnn_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func read(t *testing.T, file string) string {
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	return string(b)
}

// TestReadme: README.md shows the example that go test runs, and what the
// program prints that it names.
func TestReadme(t *testing.T) {
	readme := read(t, "README.md")
	body := regexp.MustCompile(`(?ms)^func Example\(\) \{\n(.*?)^\}`).FindStringSubmatch(read(t, "example_test.go"))
	require.NotNil(t, body)
	lines := strings.Split(body[1], "\n")
	for i := range lines {
		lines[i] = strings.TrimPrefix(lines[i], "\t")
	}
	require.Contains(t, readme, "```go\n"+strings.Join(lines, "\n")+"```\n")
	require.Contains(t, readme, "```\n"+read(t, "examples/nextword/testdata/stdout.txt")+"```\n")
}
