package chaos

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/nimue-go/nimue/conformance/servers"
)

// TestOutOfDescriptors lets this process open nothing any more for a while, and
// ends half of the connections: the rest has to do, and nothing of it is lost.
func TestOutOfDescriptors(t *testing.T) {
	server := startPostgres(t, servers.PostgresOptions{})
	fault{
		name: "half of the connections terminated, the client out of descriptors for 1.5 s",
		strike: func(s *scene) {
			half := server.sessions(s, s.app)[:conns/2]
			server.do(s, func(ctx context.Context, c *pgx.Conn) (err error) {
				restore, err := limitDescriptors(3) // fewer than there are, so that none that becomes free can be had
				if err != nil {
					return err
				}
				defer func() { err = errors.Join(err, restore()) }()
				if _, err := c.Exec(ctx, "SELECT pg_terminate_backend(pid) FROM unnest($1::int[]) pid", half); err != nil {
					return err
				}
				waitGone(s, half)
				s.cut()
				time.Sleep(1500 * time.Millisecond)
				return nil
			})
		},
		allowed: conns / 2,
	}.run(t, onPostgresFaults, server, postgresContenders)
}

// limitDescriptors lowers how many descriptors this process may have open. What is
// open stays so.
func limitDescriptors(n uint64) (restore func() error, err error) {
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &before); err != nil {
		return nil, err
	}
	lowered := before
	lowered.Cur = n
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &lowered); err != nil {
		return nil, err
	}
	return func() error { return syscall.Setrlimit(syscall.RLIMIT_NOFILE, &before) }, nil
}
