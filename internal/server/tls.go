package server

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"

	"changeover/internal/fault"
)

// TLSMode is how much a connection asks of TLS, in the words of MySQL's own clients.
type TLSMode string

// The modes.
const (
	TLSPreferred  TLSMode = "preferred"   // encrypted if the server can; nothing is verified
	TLSRequired   TLSMode = "required"    // encrypted; nothing is verified
	TLSVerifyCA   TLSMode = "verify-ca"   // the certificate is signed by the CA
	TLSVerifyFull TLSMode = "verify-full" // and it names the host
	TLSDisabled   TLSMode = "disabled"
)

// TLSModes lists the modes, weakest use first.
var TLSModes = []TLSMode{TLSPreferred, TLSRequired, TLSVerifyCA, TLSVerifyFull, TLSDisabled}

// TLSOptions are the mode and its PEM files.
type TLSOptions struct {
	Mode       TLSMode
	CA         string // empty: the system's authorities
	Cert, Key  string // a client certificate, if the account asks for one
	ServerName string // empty: the endpoint's host
}

// WithTLS is e with its TLS fields set from options. Errors are CO-1012.
func (e Endpoint) WithTLS(o TLSOptions) (Endpoint, error) {
	e.TLS, e.NoTLS = nil, o.Mode == TLSDisabled
	if o.Mode == TLSDisabled || o.Mode == TLSPreferred || o.Mode == "" {
		return e, nil
	}
	c := &tls.Config{ServerName: e.Host, MinVersion: tls.VersionTLS12}
	if o.ServerName != "" {
		c.ServerName = o.ServerName
	}
	var err error
	if c.RootCAs, err = authorities(o.CA); err != nil {
		return e, fault.New(fault.TLS, "%s: %w", e, err)
	}
	if o.Cert != "" {
		pair, err := tls.LoadX509KeyPair(o.Cert, o.Key)
		if err != nil {
			return e, fault.New(fault.TLS, "%s: client certificate: %w", e, err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	if o.Mode != TLSVerifyFull {
		c.InsecureSkipVerify = true
	}
	if o.Mode == TLSVerifyCA {
		c.VerifyConnection = verifyChain(c.RootCAs)
	}
	e.TLS = c
	return e, nil
}

func authorities(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil // crypto/tls takes the system's
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("certificate authority: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("certificate authority: %s holds no certificate in PEM", file)
	}
	return pool, nil
}

// verifyChain is verify-ca: crypto/tls verifies the chain and the name together or not at all, so
// the chain is verified here. MySQL's self-made certificates carry no usable name.
func verifyChain(roots *x509.CertPool) func(tls.ConnectionState) error {
	return func(s tls.ConnectionState) error {
		if len(s.PeerCertificates) == 0 {
			return errors.New("the server sent no certificate")
		}
		between := x509.NewCertPool()
		for _, c := range s.PeerCertificates[1:] {
			between.AddCert(c)
		}
		_, err := s.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between})
		return err
	}
}
