package pool

import (
	"context"
	"database/sql/driver"

	"github.com/nimue-go/nimue/conformance/scripted"
)

// bare hides every optional interface of scripted connections.
type bare struct{ to *scripted.Driver }

func (b bare) Driver() driver.Driver { return b.to.Driver() }

func (b bare) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := b.to.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return bareConn{c}, nil
}

type bareConn struct{ driver.Conn }
