package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"changeover/platform/assets"
	"changeover/platform/store"
	"changeover/platform/web"
)

func serveCommand(file *string) *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Run one application server",
		Long: `Serve answers browsers until it is told to stop (SIGTERM, Ctrl-C). It keeps nothing between two
requests, so any number of servers may stand behind a load balancer.

When told to stop it first says so at /readyz, goes on answering for the time that 'drain' sets, so
that the load balancer notices, then ends the requests that it has and stops. No request fails.

  /healthz   200 while the process lives
  /readyz    200 once the database was reached, 503 from the moment that it is told to stop
  /metrics   for Prometheus

With 'changeover' in the settings the database may be moved to another server meanwhile: writes are
held for a moment, and go on there; reads never wait. A server that is started in the middle finds
the writer by itself, whatever its settings name first.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(*file)
			if err != nil {
				return err
			}
			log := zerolog.New(cmd.ErrOrStderr()).With().Timestamp().Logger()
			return serve(cmd.Context(), cfg, log)
		},
	}
}

func serve(ctx context.Context, cfg *settings, log zerolog.Logger) error {
	through, closing, err := cfg.way(ctx, log)
	if err != nil {
		return err
	}
	defer func() { _ = closing() }()
	bucket, err := assets.OpenBucket(ctx, cfg.Assets)
	if err != nil {
		return err
	}
	defer func() { _ = bucket.Close() }()
	web, err := cfg.web(store.New(through, log), bucket, log)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", cfg.Listen, err)
	}
	at := through.Route()
	log.Info().Str("listen", listener.Addr().String()).Str("database", at.Server+"/"+cfg.Database.Name).Uint64("epoch", at.Epoch).Int("pid", os.Getpid()).Msg("serving")
	return answer(ctx, listener, web, cfg.Drain, log)
}

func (c *settings) web(st *store.Store, bucket *assets.Bucket, log zerolog.Logger) (*web.Server, error) {
	cfg := web.Config{Store: st, Assets: bucket, Patience: c.Patience, Log: log}
	if c.AdminTokenFile != "" {
		var err error
		if cfg.AdminToken, err = c.secret(c.AdminTokenFile); err != nil {
			return nil, err
		}
	}
	return web.New(cfg)
}

// answer serves until ctx ends, and then for as long as the load balancer may need to notice.
func answer(ctx context.Context, listener net.Listener, handler *web.Server, drain time.Duration, log zerolog.Logger) error {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	handler.Drain()
	log.Info().Dur("drain", drain).Msg("stopping: not ready from now on")
	select {
	case err := <-ended:
		return err
	case <-time.After(drain):
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	if err := server.Shutdown(last); err != nil {
		return fmt.Errorf("some requests did not end: %w", err)
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	log.Info().Msg("stopped")
	return nil
}
