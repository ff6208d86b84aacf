package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/rs/zerolog"

	"changeover/cdc"
	"changeover/cutover"
	"changeover/cutover/bus"
	"changeover/cutover/bus/hub"
	"changeover/cutover/hook"
	"changeover/internal/config"
	"changeover/internal/control"
	"changeover/internal/fault"
)

// liveStatus is what a run says of itself: the stream, and who has the writer role.
type liveStatus struct {
	cdc.Status
	Cutover cutover.Status `json:"cutover"`
}

// office is a coordinator as the control API asks it.
type office struct {
	c    *cutover.Coordinator
	none cdc.Status // while no stream runs
}

func (o office) Status() liveStatus {
	s := liveStatus{Status: o.none, Cutover: o.c.Status()}
	if r, ok := o.c.Runner(); ok {
		s.Status = r.Status()
	}
	return s
}

func (o office) Pause() {
	if r, ok := o.c.Runner(); ok {
		r.Pause()
	}
}

func (o office) Resume() {
	if r, ok := o.c.Runner(); ok {
		r.Resume()
	}
}

// attemptRoutes are what can be asked of a coordinator.
func attemptRoutes(c *cutover.Coordinator) []control.Route {
	return []control.Route{
		{Pattern: "GET /v1/cutover", Answer: func(*http.Request) (any, error) { return c.Status(), nil }},
		{Pattern: "POST /v1/attempt", Answer: func(r *http.Request) (any, error) {
			wait, err := time.ParseDuration(r.FormValue("wait"))
			if err != nil {
				return nil, fault.New(fault.Usage, "wait=%q is no duration", r.FormValue("wait"))
			}
			kind := cutover.Kind(r.FormValue("kind"))
			if kind != cutover.Rehearse && kind != cutover.Cutover && kind != cutover.Rollback {
				return nil, fault.New(fault.Usage, "kind=%q is neither rehearse, cutover nor rollback", kind)
			}
			return c.Attempt(r.Context(), cutover.Request{Kind: kind, Wait: wait,
				NoFence: r.FormValue("no_fence") != "", CancelLong: r.FormValue("cancel_long") != ""})
		}},
		{Pattern: "POST /v1/finish", Answer: func(r *http.Request) (any, error) {
			return struct{}{}, c.Finish(r.Context(), r.FormValue("forget") != "")
		}},
	}
}

// openBus opens the bus: the embedded server, or a cluster's address. close ends it.
func openBus(cfg *config.Config, log zerolog.Logger) (b *cutover.Bus, closes func(), err error) {
	to := slog.New(zerolog.NewSlogHandler(log))
	o := bus.Options{NKeySeedFile: cfg.Bus.NKeyFile, Log: to}
	if cfg.Bus.TLS.CA != "" {
		if o.TLS, err = trust(cfg.Bus.TLS.CA); err != nil {
			return nil, nil, err
		}
	}
	if cfg.Bus.URL != "" {
		return &cutover.Bus{Address: cfg.Bus.URL, Public: bus.Public(cfg.Bus.URL), Options: o}, func() {}, nil
	}
	listen := hub.Options{Address: cfg.Bus.Listen, Advertise: cfg.Bus.Advertise, Keys: cfg.Bus.NKeys, Log: to}
	if cfg.Bus.TLS.Cert != "" {
		pair, err := tls.LoadX509KeyPair(cfg.Bus.TLS.Cert, cfg.Bus.TLS.Key)
		if err != nil {
			return nil, nil, fault.New(fault.Config, "bus.tls: %w", err)
		}
		listen.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	}
	h, err := hub.Listen(listen)
	if err != nil {
		return nil, nil, err
	}
	host, _, _ := net.SplitHostPort(cfg.Bus.Listen)
	return &cutover.Bus{Address: h.Address(), Public: bus.Public(h.Address()), Options: o, Loopback: bus.Loopback(host)}, h.Close, nil
}

func trust(file string) (*tls.Config, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fault.New(fault.Config, "bus.tls.ca: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fault.New(fault.Config, "bus.tls.ca: %s has no certificate in PEM", file)
	}
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, nil
}

// hooks are the configuration's.
func hooks(cfg *config.Config) (hook.Set, error) {
	var all []hook.Config
	for _, h := range cfg.Cutover.Hooks {
		c := hook.Config{Name: h.Name, Timeout: h.Timeout, Exec: h.Exec, Holds: h.Holds, Environment: h.Environment}
		if h.HAProxy != (config.HAProxy{}) {
			c.HAProxy = &hook.HAProxy{Socket: h.HAProxy.Socket, Backend: h.HAProxy.Backend, Source: h.HAProxy.Source, Target: h.HAProxy.Target, Map: h.HAProxy.Map}
		}
		all = append(all, c)
	}
	set, err := hook.NewSet(all)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", cfg.File, err)
	}
	return set, nil
}
