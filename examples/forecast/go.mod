module github.com/simdrnn/simdrnn/examples/forecast

go 1.25.0

replace github.com/simdrnn/simdrnn => ../..

require (
	github.com/simdrnn/simdrnn v0.0.0
	gonum.org/v1/gonum v0.17.0
)

require golang.org/x/sys v0.47.0 // indirect
