package pgx

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// permanent tells that a connect will fail again however often it is tried: where
// the DSN cannot be read, or every host has refused for good. pgx tries all hosts
// and joins their errors, so one host that is only down for a moment, or a standby
// where a primary is wanted, makes the whole transient.
func permanent(err error) bool {
	if _, ok := errors.AsType[*pgconn.ParseConfigError](err); ok {
		return true
	}
	failed, ok := errors.AsType[*pgconn.ConnectError](err)
	if !ok {
		return false
	}
	hosts := map[string]bool{} // whether it has refused for good
	answered := map[string]bool{}
	for _, attempt := range parts(failed.Unwrap()) {
		host := hostOf(attempt)
		// One host may have several addresses, only one of them served, and be
		// tried with and without TLS. What the server itself answered last
		// decides, else the last error.
		if pgErr, ok := errors.AsType[*pgconn.PgError](attempt); ok {
			hosts[host], answered[host] = refusal(pgErr), true
		} else if !answered[host] {
			hosts[host] = misfit(attempt)
		}
	}
	for _, refused := range hosts {
		if !refused {
			return false
		}
	}
	return len(hosts) > 0
}

func parts(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return []error{err}
}

// attemptText is the form of pgconn's error for one attempt to connect, whose
// fields it does not export: "address (host): text".
var attemptText = regexp.MustCompile(`^(\S+) \(([^)]*)\): `)

// hostOf tells which host of the DSN an attempt was made at: by name and port,
// since one name may stand there with several ports.
func hostOf(attempt error) string {
	match := attemptText.FindStringSubmatch(attempt.Error())
	if match == nil {
		return ""
	}
	_, port, err := net.SplitHostPort(match[1])
	if err != nil {
		return match[1] // a socket's path
	}
	return net.JoinHostPort(match[2], port)
}

// refusal tells whether a server's answer to a connect will stay the same: it
// names what is wrong with the user, the database or the DSN's parameters.
func refusal(err *pgconn.PgError) bool {
	if len(err.Code) != 5 {
		return false
	}
	switch err.Code[:2] {
	case "28", // invalid_authorization_specification
		"3D", // invalid_catalog_name
		"3F", // invalid_schema_name
		"42", // access rule violations; names and values of parameters
		"22", // the same, as invalid_parameter_value
		"0A": // feature_not_supported
		return true
	case "08":
		return strings.Contains(err.Message, "unsupported startup parameter") // PgBouncer
	}
	return false // 53300 too_many_connections, 57P03 cannot_connect_now, PgBouncer's 08P01
}

// misfit tells whether client and server disagree about TLS in a way that only a
// change of the settings of one of them ends.
func misfit(err error) bool {
	var (
		verify   *tls.CertificateVerificationError
		unknown  x509.UnknownAuthorityError
		hostname x509.HostnameError
		invalid  x509.CertificateInvalidError
		alert    *net.OpError
	)
	switch {
	case errors.As(err, &verify), errors.As(err, &unknown), errors.As(err, &hostname), errors.As(err, &invalid):
		return true
	case errors.As(err, &alert) && alert.Op == "remote error": // the server did not like ours
		return strings.Contains(alert.Error(), "certificate")
	}
	return strings.HasSuffix(err.Error(), "server refused TLS connection")
}
