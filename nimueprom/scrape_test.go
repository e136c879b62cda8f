package nimueprom

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/nimue-go/nimue/pool"
)

// server serves the metrics as a program would.
func server(t *testing.T, c prometheus.Collector) string {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(c)
	s := httptest.NewServer(promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	t.Cleanup(s.Close)
	return s.URL
}

func get(t *testing.T, url, accept string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept", accept)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusOK {
		t.Fatalf("%s\n%s", response.Status, body)
	}
	return string(body)
}

// scraped is what a scrape brought, by name and labels.
type scraped map[string]*dto.MetricFamily

func scrape(t *testing.T, url string) scraped {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(get(t, url, "text/plain")))
	if err != nil {
		t.Fatal(err)
	}
	return families
}

// metric finds the one metric with these labels, given as name, value, name, value …
func (s scraped) metric(t *testing.T, name string, labels ...string) *dto.Metric {
	t.Helper()
	want := map[string]string{}
	for i := 0; i < len(labels); i += 2 {
		want[labels[i]] = labels[i+1]
	}
	for _, m := range s[name].GetMetric() {
		n := 0
		for _, l := range m.GetLabel() {
			if want[l.GetName()] == l.GetValue() {
				n++
			}
		}
		if n == len(want) && n == len(m.GetLabel()) {
			return m
		}
	}
	t.Fatalf("no %s with %q", name, labels)
	return nil
}

func (s scraped) value(t *testing.T, name string, labels ...string) float64 {
	t.Helper()
	m := s.metric(t, name, labels...)
	return m.GetGauge().GetValue() + m.GetCounter().GetValue() + m.GetUntyped().GetValue()
}

func (s scraped) want(t *testing.T, value float64, name string, labels ...string) {
	t.Helper()
	if got := s.value(t, name, labels...); got != value {
		t.Errorf("%s%q is %v, want %v", name, labels, got, value)
	}
}

// waitFor waits until the pool is in a state.
func waitFor(t *testing.T, p *pool.Pool, is func(pool.Stats) bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !is(p.Stats()); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still %+v", p.Stats())
		}
	}
}
