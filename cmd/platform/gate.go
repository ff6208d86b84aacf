package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/rs/zerolog"

	"changeover/cutover/bus"
	"changeover/cutover/gate"
	"changeover/platform/store"
)

// gate is what the migration's gate is made from, without a bus.
func (c *settings) gate(log zerolog.Logger) (gate.Config, error) {
	o := c.Changeover
	config := gate.Config{Migration: o.Migration, First: gate.Side(o.First), Log: slog.New(zerolog.NewSlogHandler(log))}
	for side, login := range map[*gate.Server]login{&config.Source: c.Database.Login, &config.Target: o.Target} {
		at, err := c.server(login)
		if err != nil {
			return config, err
		}
		if side.Connector, err = store.Connector(at); err != nil {
			return config, err
		}
		side.Address = at.Addr()
	}
	return config, nil
}

// way is an application server's way to the database: through the gate of the migration, if the
// database is being moved. What it opens is closed by closing.
func (c *settings) way(ctx context.Context, log zerolog.Logger) (through store.Gate, closing func() error, err error) {
	if c.Changeover == nil {
		at, err := c.source()
		if err != nil {
			return nil, nil, err
		}
		db, err := store.Open(at)
		if err != nil {
			return nil, nil, err
		}
		return store.Single(db, at.Addr()), db.Close, nil
	}
	log = log.Level(zerolog.InfoLevel).With().Str("migration", c.Changeover.Migration).Logger()
	config, err := c.gate(log)
	if err != nil {
		return nil, nil, err
	}
	config.Connections = c.Database.Connections
	trust, err := c.busTLS()
	if err != nil {
		return nil, nil, err
	}
	options := bus.Options{TLS: trust, Log: config.Log}
	if key := c.Changeover.Bus.NKeyFile; key != "" {
		options.NKeySeedFile = c.path(key)
	}
	config.Bus = bus.New(options)
	g, err := gate.Open(ctx, config)
	if err != nil {
		return nil, nil, err
	}
	return store.Gated(g), g.Close, nil
}

// writerTime is how long a command looks for the writer.
const writerTime = 8 * time.Second

// writer is the server on which a command may change something: the only one, or the one that the
// route rows name, if it takes writes. Which server the settings name first decides nothing once
// there are rows: a schema that is migrated on the old writer would be lost.
func (c *settings) writer(ctx context.Context, log zerolog.Logger) (store.Server, error) {
	if c.Changeover == nil {
		return c.source()
	}
	config, err := c.gate(log.Level(zerolog.WarnLevel))
	if err != nil {
		return store.Server{}, err
	}
	config.Connections = 1
	ctx, cancel := context.WithTimeout(ctx, writerTime)
	defer cancel()
	g, err := gate.Open(ctx, config)
	if err != nil {
		return store.Server{}, err
	}
	defer func() { _ = g.Close() }()
	in, err := g.Enter(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		return store.Server{}, fmt.Errorf("it can't be told which server is the writer of the migration %s, or it takes no writes: "+
			"both servers are asked for their route rows. During a cutover this lasts a moment: try again; 'changeover route' shows the rows", config.Migration)
	}
	if err != nil {
		return store.Server{}, err
	}
	defer in.Leave()
	if g.Route().Side == gate.Target {
		return c.target()
	}
	return c.source()
}
