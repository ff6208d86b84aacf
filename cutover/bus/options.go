package bus

import (
	"crypto/tls"
	"log/slog"

	"github.com/nats-io/nats.go"

	"changeover/internal/fault"
)

// Options are how one end, a gate's or the coordinator's, connects. None is needed on loopback.
type Options struct {
	TLS          *tls.Config  // what the server's certificate is checked by; nil: not encrypted, unless the address says tls://
	NKeySeedFile string       // file with the seed of this end's nkey; read at each connect, so that it can be replaced
	Log          *slog.Logger // nil: nothing is logged
}

func (o Options) log() *slog.Logger {
	if o.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return o.Log
}

// credentials are the options for NATS that follow from o, if they suffice for address.
func (o Options) credentials(address string) ([]nats.Option, error) {
	urls, err := parse(address)
	if err != nil {
		return nil, err
	}
	for _, u := range urls {
		encrypted := o.TLS != nil || u.Scheme == "tls"
		if err := Guarded(u.Hostname(), encrypted, o.NKeySeedFile != ""); err != nil {
			return nil, err
		}
	}
	var options []nats.Option
	if o.TLS != nil {
		options = append(options, nats.Secure(o.TLS))
	}
	if o.NKeySeedFile != "" {
		key, err := nats.NkeyOptionFromSeed(o.NKeySeedFile)
		if err != nil {
			return nil, fault.New(fault.BusKey, "read the nkey in %s: %w", o.NKeySeedFile, err)
		}
		options = append(options, key)
	}
	return options, nil
}
