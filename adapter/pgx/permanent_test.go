package pgx

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/nimue-go/nimue/adapter/internal/adaptertest"
	"github.com/nimue-go/nimue/conformance/servers"
)

// host is a server that answers every connect in the same way. It returns its port.
func host(t *testing.T, answer func(net.Conn)) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	work.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			answer(conn)
			_ = conn.Close()
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		work.Wait()
	})
	return listener.Addr().(*net.TCPAddr).Port
}

// refusing refuses TLS, and then to serve, with a code and a text.
func refusing(t *testing.T, answer string) int {
	return host(t, func(conn net.Conn) {
		backend := pgproto3.NewBackend(conn, conn)
		message, err := backend.ReceiveStartupMessage()
		if _, asks := message.(*pgproto3.SSLRequest); asks && err == nil {
			if _, err = conn.Write([]byte("N")); err != nil {
				return
			}
			_, err = backend.ReceiveStartupMessage()
		}
		if err != nil {
			return // the client has gone, since it wants TLS
		}
		code, text, _ := strings.Cut(answer, " ")
		backend.Send(&pgproto3.ErrorResponse{Severity: "FATAL", SeverityUnlocalized: "FATAL", Code: code, Message: text})
		_ = backend.Flush()
	})
}

func down(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}

// encrypted speaks TLS with a certificate that nobody knows.
func encrypted(t *testing.T) int {
	server := httptest.NewUnstartedServer(nil)
	server.StartTLS()
	server.Close()
	certificates := server.TLS.Certificates
	return host(t, func(conn net.Conn) {
		if _, err := pgproto3.NewBackend(conn, conn).ReceiveStartupMessage(); err != nil {
			return
		}
		if _, err := conn.Write([]byte("S")); err != nil {
			return
		}
		_ = tls.Server(conn, &tls.Config{Certificates: certificates}).Handshake()
	})
}

func TestPermanentConnectErrors(t *testing.T) {
	type hosts []int
	for name, test := range map[string]struct {
		hosts    hosts
		settings string
		want     bool
	}{
		"refused":                         {hosts{down(t)}, "", false},
		"wrong password":                  {hosts{refusing(t, "28P01 no")}, "", true},
		"no pg_hba.conf entry":            {hosts{refusing(t, "28000 no")}, "", true},
		"no such database":                {hosts{refusing(t, "3D000 no")}, "", true},
		"no privilege":                    {hosts{refusing(t, "42501 no")}, "", true},
		"unknown parameter":               {hosts{refusing(t, "42704 no")}, "", true},
		"bad value":                       {hosts{refusing(t, "22023 no")}, "", true},
		"starting":                        {hosts{refusing(t, "57P03 wait")}, "", false},
		"starting, TLS not wanted":        {hosts{refusing(t, "57P03 wait")}, "sslmode=disable", false},
		"full":                            {hosts{refusing(t, "53300 wait")}, "", false},
		"PgBouncer cannot reach a server": {hosts{refusing(t, "08P01 server login failed")}, "", false},
		"PgBouncer knows no such":         {hosts{refusing(t, "08P01 unsupported startup parameter: x")}, "", true},
		"TLS is wanted":                   {hosts{refusing(t, "57P03 wait")}, "sslmode=require", true},
		"not the certificate":             {hosts{encrypted(t)}, "sslmode=verify-full", true},
		"refused, and refusing":           {hosts{down(t), refusing(t, "28000 no")}, "", false},
		"refusing, and refused":           {hosts{refusing(t, "28000 no"), down(t)}, "", false},
		"refusing, and starting":          {hosts{refusing(t, "28000 no"), refusing(t, "57P03 wait")}, "", false},
		"both refusing":                   {hosts{refusing(t, "28000 no"), refusing(t, "28000 no")}, "", true},
		"not the certificate, and down":   {hosts{encrypted(t), down(t)}, "sslmode=verify-full", false},
		"neither with TLS nor without":    {hosts{refusing(t, "28000 no")}, "sslmode=allow", true},
	} {
		t.Run(name, func(t *testing.T) {
			var names, ports []string
			for _, port := range test.hosts {
				names, ports = append(names, "127.0.0.1"), append(ports, fmt.Sprint(port))
			}
			_, err := pgx.Connect(t.Context(), fmt.Sprintf("host=%s port=%s user=u dbname=d %s", strings.Join(names, ","), strings.Join(ports, ","), test.settings))
			if err == nil {
				t.Fatal("connected")
			}
			if got := permanent(err); got != test.want {
				t.Errorf("%v: permanent %t, want %t", err, got, test.want)
			}
		})
	}
}

// TestOneNameWithSeveralAddressesIsOneHost is localhost on a machine whose server
// listens on IPv4 only.
func TestOneNameWithSeveralAddressesIsOneHost(t *testing.T) {
	port := refusing(t, "28000 no")
	config, err := pgx.ParseConfig(fmt.Sprintf("host=db,other port=%d user=u dbname=d sslmode=disable", port))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		db, other []string
		want      bool
	}{
		{[]string{"::1", "127.0.0.1"}, []string{"127.0.0.1"}, true},
		{[]string{"127.0.0.1", "::1"}, []string{"127.0.0.1"}, true},
		{[]string{"127.0.0.1"}, []string{"::1"}, false},
	} {
		config.LookupFunc = func(_ context.Context, name string) ([]string, error) {
			if name == "db" {
				return test.db, nil
			}
			return test.other, nil
		}
		_, err := pgx.ConnectConfig(t.Context(), config)
		if err == nil || permanent(err) != test.want {
			t.Errorf("db is %q, other is %q: %v: permanent %t", test.db, test.other, err, !test.want)
		}
	}
}

func TestMismatchOfTheRoleIsTransient(t *testing.T) {
	dsn := servers.SharedPostgres(t).URL("postgres")
	for _, attrs := range []string{"standby", "read-only"} {
		_, err := pgx.Connect(t.Context(), dsn+"&target_session_attrs="+attrs)
		if err == nil || permanent(err) {
			t.Errorf("%s: %v: permanent %t", attrs, err, permanent(err))
		}
	}
}

func TestUnreadableDSNIsPermanent(t *testing.T) {
	_, err := pgx.ParseConfig("postgres://u@h/d?sslmode=sometimes")
	if !permanent(fmt.Errorf("wrapped: %w", err)) {
		t.Errorf("%v is not", err)
	}
	for _, other := range []error{errors.New("x"), &pgconn.PgError{Code: "28P01"}} {
		if permanent(other) {
			t.Errorf("%v, which is no connect's error, is", other)
		}
	}
}

// TestOneHostThatIsDownIsWaitedFor: the generic rules must not overrule the adapter.
func TestOneHostThatIsDownIsWaitedFor(t *testing.T) {
	db := adaptertest.Open(t, "nimue", fmt.Sprintf("pgx:host=127.0.0.1,127.0.0.1 port=%d,%d user=u dbname=d sslmode=disable?pool_outage_grace=1m", down(t), refusing(t, "28000 no")))
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := db.ExecContext(ctx, "SELECT 1"); ctx.Err() == nil {
		t.Errorf("nobody waited: %v", err)
	}
}
