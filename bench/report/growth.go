package report

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/stat"

	"github.com/nimue-go/nimue/bench/rows"
)

// point is a median at a size.
type point struct{ size, value float64 }

// curve is how a measurement of one contender's grows. Size 0, which has no
// logarithm, is left out.
func (m *Measured) curve(row rows.Row, contender, unit string) []point {
	var points []point
	for _, n := range row.Sizes {
		s, ok := m.Median(Key{row.ID(), contender, n, unit})
		if ok && n > 0 && s.Center > 0 {
			points = append(points, point{float64(n), s.Center})
		}
	}
	return points
}

// exponent is the k of the n^k by which a curve grows in the upper half of its
// sizes: the slope of the line through their logarithms. False with less than
// two points.
func exponent(points []point) (float64, bool) {
	if len(points) < 2 {
		return 0, false
	}
	if len(points) > 3 {
		points = points[len(points)/2:]
	}
	var x, y []float64
	for _, p := range points {
		x = append(x, math.Log(p.size))
		y = append(y, math.Log(p.value))
	}
	_, slope := stat.LinearRegression(x, y, nil, false)
	return slope, true
}

// orderOf puts the exponent into words.
func orderOf(k float64) string {
	name := "O(1)"
	switch {
	case k >= 1.3:
		name = "worse than O(n)"
	case k >= 0.7:
		name = "O(n)"
	case k >= 0.15:
		name = "less than O(n)"
	}
	return fmt.Sprintf("n^%.2f: %s", k, name)
}
