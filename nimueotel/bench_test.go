package nimueotel

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"testing"

	sdk "go.opentelemetry.io/otel/sdk/metric"

	"github.com/nimue-go/nimue"
	"github.com/nimue-go/nimue/pool"
)

// nothing is a driver that does nothing, at once.
type nothing struct{}

func (nothing) Connect(context.Context) (driver.Conn, error) { return nothing{}, nil }
func (nothing) Driver() driver.Driver                        { return nil }
func (nothing) Prepare(string) (driver.Stmt, error)          { return nil, driver.ErrSkip }
func (nothing) Close() error                                 { return nil }
func (nothing) Begin() (driver.Tx, error)                    { return nil, driver.ErrSkip }
func (nothing) Ping(context.Context) error                   { return nil }

// What a listener costs each statement, beside none; and how many events it does not
// get where statements do nothing and come one after the other.
func BenchmarkListener(b *testing.B) {
	times := func(b *testing.B) pool.Listener {
		l, err := NewListener(sdk.NewMeterProvider(sdk.WithReader(sdk.NewManualReader())))
		if err != nil {
			b.Fatal(err)
		}
		return l
	}
	for _, way := range []struct {
		name     string
		listener func(*testing.B) pool.Listener
	}{
		{"none", func(*testing.B) pool.Listener { return nil }},
		{"empty", func(*testing.B) pool.Listener { return pool.ListenerFunc(func(pool.Event) {}) }},
		{"times", times},
	} {
		b.Run(way.name, func(b *testing.B) {
			connector, err := nimue.NewConnector(nothing{}, pool.Config{Listener: way.listener(b)})
			if err != nil {
				b.Fatal(err)
			}
			db := sql.OpenDB(connector)
			defer db.Close()
			for b.Loop() {
				if err := db.Ping(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(connector.Pool().Stats().EventsLost)/float64(b.N), "lost/op")
		})
	}
}
