package check

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
)

// step is how far apart two scrapes are taken to be, which is what it is in real life;
// here they come much faster, so that minutes pass in a second.
const step = 15 * time.Second

// epoch is the time of the first scrape, in those minutes.
var epoch = time.Unix(1_700_000_000, 0)

// recorder scrapes a program and answers queries, as Prometheus does.
type recorder struct {
	url    string
	engine *promql.Engine

	mu      sync.Mutex // guards what is below
	scrapes int
	series  map[string]*recorded
}

type recorded struct {
	labels labels.Labels
	points []chunks.Sample
}

// point is one value of a series, as the engine wants it.
type point struct {
	at    int64
	value float64
}

func (p point) T() int64                    { return p.at }
func (point) ST() int64                     { return 0 }
func (p point) F() float64                  { return p.value }
func (point) H() *histogram.Histogram       { return nil }
func (point) FH() *histogram.FloatHistogram { return nil }
func (point) Type() chunkenc.ValueType      { return chunkenc.ValFloat }
func (p point) Copy() chunks.Sample         { return p }

func newRecorder(url string) *recorder {
	return &recorder{url: url, series: map[string]*recorded{}, engine: promql.NewEngine(promql.EngineOpts{
		MaxSamples: 1_000_000, Timeout: time.Minute, Parser: parser.NewParser(parser.Options{}),
	})}
}

// scrape adds what the program exports now.
func (r *recorder) scrape(t *testing.T) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	scraped := expfmt.NewTextParser(model.UTF8Validation)
	families, err := scraped.TextToMetricFamilies(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, f := range families {
		for _, m := range f.GetMetric() {
			r.add(name, m)
		}
	}
	r.scrapes++
}

func (r *recorder) add(name string, m *dto.Metric) {
	h := m.GetHistogram()
	if h == nil {
		r.addValue(name, m, m.GetGauge().GetValue()+m.GetCounter().GetValue())
		return
	}
	r.addValue(name+"_count", m, float64(h.GetSampleCount()))
	r.addValue(name+"_sum", m, h.GetSampleSum())
	for _, b := range h.GetBucket() {
		r.addValue(name+"_bucket", m, float64(b.GetCumulativeCount()), "le", fmt.Sprint(b.GetUpperBound()))
	}
}

func (r *recorder) addValue(name string, m *dto.Metric, value float64, more ...string) {
	all := append([]string{model.MetricNameLabel, name, "job", "shop", "instance", "a"}, more...)
	for _, l := range m.GetLabel() {
		all = append(all, l.GetName(), l.GetValue())
	}
	set := labels.FromStrings(all...)
	s := r.series[set.String()]
	if s == nil {
		s = &recorded{labels: set}
		r.series[set.String()] = s
	}
	s.points = append(s.points, point{timeOf(r.scrapes).UnixMilli(), value})
}

func timeOf(scrape int) time.Time { return epoch.Add(time.Duration(scrape) * step) }

// Querier gives the engine what was scraped.
func (r *recorder) Querier(int64, int64) (storage.Querier, error) {
	return &storage.MockQuerier{SelectMockFunction: func(_ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
		r.mu.Lock()
		defer r.mu.Unlock()
		set := &selection{at: -1}
		for _, s := range r.series {
			fits := func(m *labels.Matcher) bool { return m.Matches(s.labels.Get(m.Name)) }
			if !slices.ContainsFunc(matchers, func(m *labels.Matcher) bool { return !fits(m) }) {
				set.series = append(set.series, storage.NewListSeries(s.labels, slices.Clone(s.points)))
			}
		}
		return set
	}}, nil
}

// selection is a storage.SeriesSet of several.
type selection struct {
	series []storage.Series
	at     int
}

func (s *selection) Next() bool         { s.at++; return s.at < len(s.series) }
func (s *selection) At() storage.Series { return s.series[s.at] }
func (s *selection) Err() error         { return nil }

func (s *selection) Warnings() annotations.Annotations { return nil }

// holds tells whether an expression gave anything at the time of a scrape.
func (r *recorder) holds(t *testing.T, query string, scrape int) bool {
	t.Helper()
	return len(r.answer(t, query, scrape)) > 0
}

// answer is what an expression gave at the time of a scrape.
func (r *recorder) answer(t *testing.T, query string, scrape int) promql.Vector {
	t.Helper()
	q, err := r.engine.NewInstantQuery(context.Background(), r, nil, query, timeOf(scrape))
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer q.Close()
	result := q.Exec(context.Background())
	vector, err := result.Vector()
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return slices.Clone(vector)
}

// fires tells whether a rule fired in the scrapes from first on: whether its
// expression held for as long as it says.
func (r *recorder) fires(t *testing.T, query string, lasting time.Duration, first int) bool {
	t.Helper()
	held := time.Duration(-1)
	for i := first; i < r.taken(); i++ {
		switch {
		case !r.holds(t, query, i):
			held = -1
			continue
		case held < 0:
			held = 0
		default:
			held += step
		}
		if held >= lasting {
			return true
		}
	}
	return false
}

// taken is how many scrapes there have been.
func (r *recorder) taken() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.scrapes
}
