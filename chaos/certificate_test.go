package chaos

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/nimue-go/nimue/conformance/servers"
)

// authority signs the certificates of a server.
type authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	file string // for sslrootcert
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "chaos authority"},
		NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{key: key, cert: cert, file: filepath.Join(t.TempDir(), "root.crt")}
	if err := os.WriteFile(a.file, pemBlock("CERTIFICATE", der), 0o600); err != nil {
		t.Fatal(err)
	}
	return a
}

func pemBlock(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// issue makes a certificate for 127.0.0.1, and its key.
func (a *authority) issue(tb testing.TB, notAfter time.Time) (cert, key []byte) {
	tb.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "chaos server"},
		NotBefore: time.Now().Add(-12 * time.Hour), NotAfter: notAfter,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &private.PublicKey, a.key)
	if err != nil {
		tb.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		tb.Fatal(err)
	}
	return pemBlock("CERTIFICATE", der), pemBlock("EC PRIVATE KEY", keyDER)
}

// secured is a PostgreSQL server with TLS, whose applications verify it fully.
type secured struct {
	postgres
	authority *authority
}

func (p secured) target(tb testing.TB, address, app string) target {
	to := p.postgres.target(tb, address, app)
	to.dsn = p.verified(tb, to.dsn)
	return to
}

func (p secured) verified(tb testing.TB, dsn string) string {
	return withSettings(tb, dsn, "sslmode", "verify-full", "sslrootcert", p.authority.file)
}

// present has the server show a certificate, and waits until it does.
func (p secured) present(tb testing.TB, notAfter time.Time) {
	tb.Helper()
	cert, key := p.authority.issue(tb, notAfter)
	for name, text := range map[string][]byte{"server.crt": cert, "server.key": key} {
		if err := p.give(name, text); err != nil {
			tb.Fatal(err)
		}
	}
	p.exec(tb, "ALTER SYSTEM SET ssl = on")
	if err := p.Reload(); err != nil {
		tb.Fatal(err)
	}
	valid := time.Now().Before(notAfter)
	mustBecome(tb, "the server's new certificate", func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		c, err := pgx.Connect(ctx, p.verified(tb, p.URL("postgres")))
		if err != nil {
			return !valid && kindOf(err) == "certificate"
		}
		return errors.Join(c.Close(ctx)) == nil && valid
	})
}

// give puts a file where the server looks for it, as its own: it heeds no key that
// others may read.
func (p secured) give(name string, text []byte) error {
	path := filepath.Join(p.DataDir(), name)
	info, err := os.Stat(p.DataDir())
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	return os.Chown(path, int(owner.Uid), int(owner.Gid))
}

// TestCertificateExpires has the server's certificate expire, and all connections
// end. No retry will help, and the application is told so at once, until the
// certificate is renewed.
func TestCertificateExpires(t *testing.T) {
	server := secured{startPostgres(t, servers.PostgresOptions{}), newAuthority(t)}
	server.present(t, time.Now().Add(time.Hour))
	var tried uint64
	fault{
		name: "the server's certificate expired, renewed after 2 s",
		strike: func(s *scene) {
			server.present(s, time.Now().Add(-time.Hour))
			server.terminate(s, server.sessions(s, s.app)...)
			s.cut()
			tried = connectErrors(s.c)
			time.Sleep(2 * time.Second)
			tried = connectErrors(s.c) - tried
			server.present(s, time.Now().Add(time.Hour))
		},
		allowed: 1 << 30,
		kinds:   anyOf(broken, func(kind string) bool { return kind == "certificate" }),
		after: func(s *scene, r *report) {
			if r.kinds()["certificate"] == 0 {
				s.Error("nobody was told of the certificate")
			}
			if tried > 15 {
				s.Errorf("%d connects in 2 s to a server that cannot be trusted", tried)
			}
		},
	}.run(t, onPostgresFaults, server, postgresContenders)
}
