package kernels

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTiles: tiles cover a matrix once, none exceeds the limit of one call, and
// columns begin at a panel.
func TestTiles(t *testing.T) {
	sizes := []int{0, 1, 2, 15, 16, 17, 300, maxWork - 1, maxWork, maxWork + 1, 3*maxWork + 5}
	for _, rows := range sizes {
		for _, cols := range sizes {
			if cols > 0 && rows > 1<<20/cols {
				continue
			}
			seen := make([]bool, rows*cols)
			for p := tiles(rows, cols); p.rows > 0; p = p.next(rows, cols) {
				require.Positive(t, p.rows*p.cols)
				require.LessOrEqual(t, p.rows*p.cols, maxWork)
				require.Zero(t, p.col%block)
				for b := p.row; b < p.row+p.rows; b++ {
					for j := p.col; j < p.col+p.cols; j++ {
						if seen[b*cols+j] {
							t.Fatalf("%dx%d: tile %v overlaps another", rows, cols, p)
						}
						seen[b*cols+j] = true
					}
				}
			}
			require.Equal(t, -1, slices.Index(seen, false), "%dx%d is not covered", rows, cols)
		}
	}
}

// TestPieces: pieces cover a slice, and none exceeds the limit of one call.
func TestPieces(t *testing.T) {
	require.LessOrEqual(t, piece, maxWork)
	for _, n := range []int{0, 1, piece - 1, piece, piece + 1, 3*piece + 5} {
		next := 0
		for p := pieces(n); p.cols > 0; p = p.nextPiece(n) {
			require.Equal(t, next, p.col)
			require.Positive(t, p.cols)
			require.LessOrEqual(t, p.cols, piece)
			next += p.cols
		}
		require.Equal(t, n, next)
	}
}

// TestNoColumns: a call returns at once if its rows are more than can be counted and
// nothing is in them, and it checks its arguments nevertheless.
func TestNoColumns(t *testing.T) {
	const n = math.MaxInt
	calls := map[string]func(n int){
		"SoftmaxRows":      func(n int) { SoftmaxRows(Mat{}, Mat{}, n, 0) },
		"UnpackGates":      func(n int) { UnpackGates(Mat{}, Mat{}, n, 0) },
		"PackGates":        func(n int) { PackGates(Mat{}, Mat{}, n, 0) },
		"AddRows":          func(n int) { AddRows(nil, Mat{}, n) },
		"AddRowProducts":   func(n int) { AddRowProducts(nil, Mat{}, Mat{}, n) },
		"LSTMPeepholeGrad": func(n int) { LSTMPeepholeGrad(nil, Mat{}, Mat{}, Mat{}, n, 0) },
	}
	for _, k := range pointwiseKernels {
		if k.ofMatrices() {
			calls[k.name] = func(n int) { k.run(make([]Mat, len(k.operands)), n, 0) }
		}
	}
	for _, gates := range []int{1, 3, 4} {
		w := NewPanels(gates, 0, 0)
		calls[fmt.Sprint("Gemm of gates ", gates)] = func(n int) { Gemm(Mat{}, Mat{}, n, w, nil) }
		calls[fmt.Sprint("GemmAdd of gates ", gates)] = func(n int) { GemmAdd(Mat{}, Mat{}, n, w) }
	}
	forEachISA(t, func(t *testing.T, _ ISA) {
		for name, call := range calls {
			t.Run(name, func(t *testing.T) {
				call(n)
				require.Panics(t, func() { call(-1) })
			})
		}
		NewPanels(1, 0, n).SetRows(Mat{})
		NewPanels(1, 0, maxUnits).PackTransposed(nil, 1, maxUnits)
		NewPanels(1, 0, 0).PackTransposed(nil, 4, 0)
		GemmTN(Mat{}, Mat{}, 1, 0, NewPanels(1, 0, n), true)
		GRUSteps(&Seq{T: n, WHH: NewPanels(3, 0, 0)})
		require.PanicsWithValue(t, "kernels: Gemm: a.Stride = 0, want at least 1 columns", func() { Gemm(Mat{}, Mat{}, n, NewPanels(1, 0, 1), nil) })
		require.Panics(t, func() { LayerNormRows(Mat{}, Mat{}, Mat{Stride: 1}, Mat{}, nil, Mat{}, 1, n, 0) }, "rstd")
	})
}

// TestBoundedCalls reads the source: each function of the generated dispatch is
// a function entry of its own (//go:noinline), where the scheduler can stop a
// goroutine, and each of its elementwise kernels is called once for each of
// tiles, or of pieces, with that tile's size and no other. sumRows and
// sumRowProducts, which take 256 rows of 64 columns, and copyBlocks and transpose, which take no more, are
// checked by their callers' arguments, and steps by what oneCall and stepsPerCall
// allow.
func TestBoundedCalls(t *testing.T) {
	if _, err := os.Stat("mat.go"); err != nil {
		t.Skip("no source here")
	}
	fset := token.NewFileSet()
	entries, err := os.ReadDir(".")
	require.NoError(t, err)
	dispatch := map[string]bool{}
	var files []*ast.File
	for _, e := range entries {
		name := e.Name()
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(fset, name, nil, parser.ParseComments)
		require.NoError(t, err)
		if !strings.HasPrefix(name, "dispatch_") {
			files = append(files, f)
			continue
		}
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Type.Results != nil {
				continue // it calls no assembly
			}
			dispatch[fn.Name.Name] = true
			require.Contains(t, directives(fn), "//go:noinline", "%s: %s", name, fn.Name.Name)
		}
	}
	require.NotEmpty(t, dispatch)

	called := map[string]int{}
	for _, f := range files {
		var stack []ast.Node
		ast.Inspect(f, func(n ast.Node) bool {
			if n == nil {
				stack = stack[:len(stack)-1]
				return true
			}
			stack = append(stack, n)
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			inside := func(names ...string) bool {
				return slices.ContainsFunc(stack, func(n ast.Node) bool {
					f, ok := n.(*ast.FuncDecl)
					return ok && slices.Contains(names, f.Name.Name)
				})
			}
			if method, ok := call.Fun.(*ast.SelectorExpr); ok && (method.Sel.Name == "launch" || method.Sel.Name == "kernel") {
				require.True(t, inside("fused", "run", "RunLinear", "RunSteps"), fset.Position(call.Pos()).String()) // see TestProductsBounded
			}
			fn, ok := call.Fun.(*ast.Ident)
			if !ok || !dispatch[fn.Name] || strings.HasPrefix(fn.Name, "gemm") {
				return true // products cut their work themselves
			}
			called[fn.Name]++
			args := source(call.Args)
			at := fset.Position(call.Pos())
			if fn.Name == "sumRows" {
				require.Equal(t, "isa &sum[0] a.at(b,j) a.Stride rows len(d) min(b,1)", args, at.String())
				require.LessOrEqual(t, sumCols*kChain, maxWork)
				return true
			}
			if fn.Name == "sumRowProducts" {
				require.Equal(t, "isa &sum[0] a.at(b,j) x.at(b,j) a.Stride x.Stride rows len(d) min(b,1)", args, at.String())
				return true
			}
			if fn.Name == "copyBlocks" { // of at most kChain rows and 4 blocks
				require.Equal(t, "isa &dst[0] &x.Data[0] 4 * step 4 * x.Stride rows whole", args, at.String())
				require.LessOrEqual(t, kChain*panelColumns, maxWork)
				return true
			}
			if fn.Name == "transpose" { // of at most kChain rows and 64 columns, or 16 and kBlock
				require.Equal(t, "isa &dst.Data[0] &x.Data[0] 4 * dst.Stride 4 * x.Stride r c", args, at.String())
				require.LessOrEqual(t, block*kBlock, maxWork)
				return true
			}
			if fn.Name == "lstmPeepholeSums" {
				require.Equal(t, "isa &sum[0] &g.Data[0] &s.Data[0] &prev.Data[0] g.Stride s.Stride prev.Stride rows some min(b,1)", args, at.String())
				return true
			}
			if strings.Contains(fn.Name, "Steps") {
				require.True(t, inside("launch"), "%v: %s", at, fn.Name)
				return true
			}
			inTiles, count := false, "t.cols"
			for _, s := range stack {
				loop, ok := s.(*ast.ForStmt)
				if !ok {
					continue
				}
				init, ok := loop.Init.(*ast.AssignStmt)
				post, assigns := loop.Post.(*ast.AssignStmt)
				if !ok || !assigns {
					continue
				}
				from, cond := source(init.Rhs), source([]ast.Expr{loop.Cond})
				switch next := source(post.Rhs); {
				case source(init.Lhs) == "i": // for i := 0; i < n; i += maxWork
					inTiles = inTiles || from == "0" && post.Tok == token.ADD_ASSIGN && next == "maxWork"
					count = "min(maxWork," + strings.TrimPrefix(cond, "i < ") + ",-,i)" // as source writes it
				case source(init.Lhs) != "t":
				case strings.HasPrefix(from, "tiles("):
					inTiles = inTiles || cond == "t.rows > 0" && next == strings.Replace(from, "tiles", "t.next", 1)
				case strings.HasPrefix(from, "pieces("):
					inTiles = inTiles || cond == "t.cols > 0" && next == strings.Replace(from, "pieces", "t.nextPiece", 1)
				}
			}
			require.True(t, inTiles, "%v: %s outside a loop over tiles", at, fn.Name)
			words := " " + args + " "
			require.Contains(t, words, " "+count+" ", at.String())
			require.True(t, strings.Contains(words, " t.rows t.cols ") || !strings.Contains(words, "t.of("), "%v: rows", at)
			return true
		})
	}
	for name := range dispatch {
		if !strings.HasPrefix(name, "gemm") {
			require.Equal(t, 1, called[name], "calls of %s", name)
		}
	}
}

// TestProductsBounded: a call of a product takes more than one panel only while
// its work and its weights stay below their limits, and one panel is below them.
func TestProductsBounded(t *testing.T) {
	require.LessOrEqual(t, maxRows*kChain*panelColumns, maxProducts)
	require.LessOrEqual(t, 4*kChain*panelColumns, maxWeights)
	for rows := 1; rows <= maxRows; rows += pick(1, 1, maxRows-1) {
		for kn := range kChain + 1 {
			for blocks := 1; blocks <= 4; blocks++ {
				n := panelsPerCall(rows, kn, blocks)
				require.Positive(t, n)
				require.LessOrEqual(t, n*rows*kn*blocks*block, maxProducts)
				require.LessOrEqual(t, 4*n*kn*blocks*block, maxWeights)
			}
		}
	}
	for kn := range kChain + 1 { // of a part of a block, which counts as a whole one
		n := partRows(kn)
		require.GreaterOrEqual(t, n, maxRows)
		require.LessOrEqual(t, n*kn*block, maxProducts)
		require.LessOrEqual(t, n*block, maxWork)
		require.LessOrEqual(t, 4*n*kn, maxWeights)
	}
	for _, gates := range []int{1, 3, 4} {
		for _, units := range []int{0, 1, 16, 48, 64, 100, 128, 256, 512, 5000} {
			for _, k := range []int{0, 1, 128, 256, 257} {
				w := &Panels{panelData: &panelData{gates: gates, units: units, k: k}}
				for n := range maxRows + 2 {
					if p := (matmul{w: w}); p.oneCall(n) {
						require.LessOrEqual(t, n*k*w.Width(), maxProducts)
						require.LessOrEqual(t, 4*k*w.Width(), maxWeights)
						require.LessOrEqual(t, k, kChain)
						require.LessOrEqual(t, n, maxRows)
						require.Zero(t, w.Width()%block)
					}
				}
			}
		}
	}
	for _, k := range []int{0, 1, 16, 100, 256, 257} {
		for units := range 300 {
			whh, wih := &Panels{panelData: &panelData{gates: 4, units: units, k: units}}, &Panels{panelData: &panelData{gates: 4, units: units, k: k}}
			if oneCall(whh, wih) {
				require.True(t, oneCall(whh, nil))
				n := stepsPerCall(whh, wih)
				require.Positive(t, n)
				require.LessOrEqual(t, 4*(k+units)*whh.Width(), maxStepWeights)
				require.LessOrEqual(t, n*(k+units)*whh.Width(), maxProducts)
				require.LessOrEqual(t, n*units, maxWork)
				require.LessOrEqual(t, n, stepNs/fixedNs)
			}
		}
	}
}

func directives(fn *ast.FuncDecl) (s []string) {
	if fn.Doc != nil {
		for _, c := range fn.Doc.List {
			s = append(s, c.Text)
		}
	}
	return s
}

// source prints the few kinds of expressions that arguments of kernels are.
func source(list []ast.Expr) string {
	var s []string
	for _, e := range list {
		switch e := e.(type) {
		case *ast.Ident:
			s = append(s, e.Name)
		case *ast.BasicLit:
			s = append(s, e.Value)
		case *ast.SelectorExpr:
			s = append(s, source([]ast.Expr{e.X})+"."+e.Sel.Name)
		case *ast.UnaryExpr:
			s = append(s, e.Op.String()+source([]ast.Expr{e.X}))
		case *ast.BinaryExpr:
			s = append(s, source([]ast.Expr{e.X}), e.Op.String(), source([]ast.Expr{e.Y}))
		case *ast.IndexExpr:
			s = append(s, source([]ast.Expr{e.X})+"["+source([]ast.Expr{e.Index})+"]")
		case *ast.CallExpr:
			s = append(s, source([]ast.Expr{e.Fun})+"("+strings.ReplaceAll(source(e.Args), " ", ",")+")")
		default:
			s = append(s, "?")
		}
	}
	return strings.Join(s, " ")
}
