package pgx

import (
	"context"
	"crypto/tls"
	"database/sql/driver"
	"net"
	"sync/atomic"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

// pgx answers driver.ErrBadConn, by which a statement is sent again, also where it
// has sent the statement: when the connection breaks right after a statement
// without arguments, the first error is lost and what follows looks as if nothing
// had been done yet. So the adapter counts what is sent.

// countedConn counts the bytes that are written to a network connection.
type countedConn struct {
	net.Conn
	written atomic.Uint64
}

func (c *countedConn) Write(b []byte) (int, error) {
	c.written.Add(uint64(len(b))) // before: a failed write may have sent some of it
	return c.Conn.Write(b)
}

// NetConn leads the pool on to the socket.
func (c *countedConn) NetConn() net.Conn { return c.Conn }

func counting(dial pgconn.DialFunc) pgconn.DialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &countedConn{Conn: conn}, nil
	}
}

// sent is the pool's Config.Sent. A connection that was not dialled here counts as
// one that has sent nothing.
func sent(conn driver.Conn) uint64 {
	c, ok := conn.(*stdlib.Conn)
	if !ok {
		return 0
	}
	nc := c.Conn().PgConn().Conn()
	if secure, ok := nc.(*tls.Conn); ok {
		nc = secure.NetConn()
	}
	if counted, ok := nc.(*countedConn); ok {
		return counted.written.Load()
	}
	return 0
}
