package check

import (
	"bytes"
	"context"
	"database/sql"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/nimue-go/nimue"
	_ "github.com/nimue-go/nimue/adapter/pgx"
	"github.com/nimue-go/nimue/conformance/servers"
	"github.com/nimue-go/nimue/nimueprom"
	"github.com/nimue-go/nimue/pool"
	"github.com/nimue-go/nimue/status"
)

// conns is how many connections the application may have.
const conns = 4

// application is a program with a database. What an operator has of it are its status
// page, by HTTP, its metrics, in the recorder, and its log.
type application struct {
	server  *servers.PostgresServer
	db      *sql.DB
	page    string // its address
	metrics *recorder
	log     *logBook
}

func startApplication(t *testing.T) *application {
	t.Helper()
	a := &application{server: servers.Postgres(t), log: &logBook{}}
	dsn := "pgx:" + a.server.URL("postgres") + "&pool_name=shop&pool_max_conns=4&pool_acquire_timeout=1s&pool_leak_threshold=3s&pool_outage_grace=1s"
	connector, err := nimue.OpenConnector(dsn, func(c *pool.Config) {
		c.Logger = slog.New(slog.NewTextHandler(a.log, nil))
	})
	if err != nil {
		t.Fatal(err)
	}
	a.db = sql.OpenDB(connector)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = connector.Pool().Shutdown(ctx)
		_ = a.db.Close()
	})
	mux := http.NewServeMux()
	mux.Handle("/debug/nimue/", status.Handler(status.Pools(func() []*pool.Pool { return []*pool.Pool{connector.Pool()} })))
	site := httptest.NewServer(mux)
	t.Cleanup(site.Close)
	a.page = site.URL + "/debug/nimue/"
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(nimueprom.NewCollector(connector.Pool()))
	exporter := httptest.NewServer(promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	t.Cleanup(exporter.Close)
	a.metrics = newRecorder(exporter.URL)
	return a
}

// work has n workers ask the database for something, over and over, until the returned
// function is called. What fails they try again.
func (a *application) work(n int, query string, pause time.Duration) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var workers sync.WaitGroup
	for range n {
		workers.Go(func() {
			for ctx.Err() == nil {
				_, _ = a.db.ExecContext(ctx, query)
				select {
				case <-ctx.Done():
				case <-time.After(pause):
				}
			}
		})
	}
	return func() {
		cancel()
		workers.Wait()
	}
}

// forgetsToCloseRows is where the application leaks.
func (a *application) forgetsToCloseRows(t *testing.T) *sql.Rows {
	t.Helper()
	rows, err := a.db.QueryContext(context.Background(), "SELECT 'secret-literal', generate_series(1, 100000)")
	if err != nil {
		t.Fatal(err)
	}
	if !rows.Next() {
		t.Fatal(rows.Err())
	}
	return rows
}

// logBook is the application's log.
type logBook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBook) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

// mark is a place in the log; since gives what was logged from there on.
func (b *logBook) mark() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Len()
}

func (b *logBook) since(mark int) logLines {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Split(b.text.String()[mark:], "\n")
}

type logLines []string

// saying returns the lines that contain all of the texts.
func (l logLines) saying(texts ...string) logLines {
	var found logLines
	for _, line := range l {
		all := true
		for _, text := range texts {
			all = all && strings.Contains(line, text)
		}
		if all {
			found = append(found, line)
		}
	}
	return found
}
