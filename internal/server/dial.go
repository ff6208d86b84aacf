package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/go-sql-driver/mysql"

	"changeover/internal/fault"
)

// patience bounds a first connection: name, TCP, TLS and login together.
const patience = 15 * time.Second

// Dial opens a pool and makes its first connection, so that what is wrong with the endpoint is
// known now. Errors are faults: CO-1010 to CO-1013.
func Dial(ctx context.Context, e Endpoint, s Session) (*sql.DB, error) {
	db, err := Open(e, s)
	if err != nil {
		return nil, err
	}
	first, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := db.PingContext(first); err != nil {
		_ = db.Close()
		if errors.Is(ctx.Err(), context.Canceled) {
			return nil, ctx.Err() // the caller's doing, not the endpoint's
		}
		return nil, Classify(e, err)
	}
	return db, nil
}

// Probe connects once and says who answers.
func Probe(ctx context.Context, e Endpoint) (Identity, error) {
	db, err := Dial(ctx, e, Session{Connections: 1})
	if err != nil {
		return Identity{}, err
	}
	defer func() { _ = db.Close() }()
	return Identify(ctx, db)
}

// Classify says why connecting to e failed: CO-1011 for the account, CO-1012 for TLS, CO-1013
// for a database, CO-1010 for everything on the way there. Any other error stays as it is.
func Classify(e Endpoint, err error) error {
	var refused *mysql.MySQLError
	if errors.As(err, &refused) {
		return classifyRefusal(e, refused)
	}
	if reason := tlsReason(err); reason != "" {
		return fault.New(fault.TLS, "%s: %s: %w", e, reason, err)
	}
	if reason := networkReason(e, err); reason != "" {
		return fault.New(fault.Connect, "%s: %s: %w", e, reason, err)
	}
	return err
}

// The server's own words for not letting somebody in.
var (
	accountRefusals = []uint16{
		1045, // wrong user or password
		1044, // account may not use the database
		1130, // no account for this client's host
		1698, // the account logs in by socket
		1862, // password expired
		1820, // password must be changed first
		3118, // account is locked
		4151, // the same, on MariaDB
		1275, // old password format
	}
	tlsRefusals = []uint16{
		3159, // require_secure_transport
	}
	busyRefusals = []uint16{
		1040, // too many connections
		1129, // host blocked after too many errors
		1203, // too many connections of this user
		1226, // the user's limit
		1053, // shutting down
	}
)

func classifyRefusal(e Endpoint, err *mysql.MySQLError) error {
	switch {
	case err.Number == 1049:
		return fault.New(fault.NoDatabase, "%s: %w", e, err)
	case slices.Contains(accountRefusals, err.Number):
		return fault.New(fault.Access, "%s: %w", e, err)
	case slices.Contains(tlsRefusals, err.Number):
		return fault.New(fault.TLS, "%s: the server lets nobody in without TLS: %w", e, err)
	case slices.Contains(busyRefusals, err.Number):
		return fault.New(fault.Connect, "%s: the server takes no connection now: %w", e, err)
	}
	return err
}

func tlsReason(err error) string {
	var (
		unknown  x509.UnknownAuthorityError
		host     x509.HostnameError
		invalid  x509.CertificateInvalidError
		verify   *tls.CertificateVerificationError
		notTLS   tls.RecordHeaderError
		alert    tls.AlertError
		noSystem x509.SystemRootsError
	)
	switch {
	case errors.Is(err, mysql.ErrNoTLS):
		return "the server offers no TLS"
	case errors.As(err, &unknown):
		return "its certificate is not signed by the CA"
	case errors.As(err, &host):
		return "its certificate is for another name"
	case errors.As(err, &invalid), errors.As(err, &verify), errors.As(err, &noSystem):
		return "its certificate can't be verified"
	case errors.As(err, &notTLS):
		return "it does not speak TLS here"
	case errors.As(err, &alert):
		return "it broke off the TLS handshake"
	}
	return ""
}

func networkReason(e Endpoint, err error) string {
	var dns *net.DNSError
	var netErr net.Error
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return "DNS knows no host " + e.Host
	case errors.As(err, &dns):
		return "DNS did not answer for " + e.Host
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused: the host is there, nothing listens on the port"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "no route to the host"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &netErr) && netErr.Timeout():
		return "timeout: a firewall or security group drops the packets, or what listens there is no MySQL server"
	case isNotMySQL(err):
		return "what listens there did not answer like a MySQL server"
	case errors.As(err, &netErr):
		return "the network"
	}
	return ""
}

// isNotMySQL recognises a peer that hangs up or talks of something else, such as a web server.
func isNotMySQL(err error) bool {
	for _, known := range []error{
		mysql.ErrMalformPkt, mysql.ErrPktSync, mysql.ErrPktSyncMul, mysql.ErrOldProtocol, mysql.ErrInvalidConn,
		driver.ErrBadConn, io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET,
	} {
		if errors.Is(err, known) {
			return true
		}
	}
	return strings.Contains(err.Error(), "unsupported protocol version")
}
