package main

import (
	"context"
	"database/sql"
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
	g, err := c.join(ctx, log.Level(zerolog.InfoLevel).With().Str("migration", c.Changeover.Migration).Logger(), c.Database.Connections)
	if err != nil {
		return nil, nil, err
	}
	return store.Gated(g), g.Close, nil
}

// join opens the migration's gate, on its bus.
func (c *settings) join(ctx context.Context, log zerolog.Logger, connections int) (*gate.Gate, error) {
	config, err := c.gate(log)
	if err != nil {
		return nil, err
	}
	config.Connections = connections
	trust, err := c.busTLS()
	if err != nil {
		return nil, err
	}
	options := bus.Options{TLS: trust, Log: config.Log}
	if key := c.Changeover.Bus.NKeyFile; key != "" {
		options.NKeySeedFile = c.path(key)
	}
	config.Bus = bus.New(options)
	return gate.Open(ctx, config)
}

// platform is the database as a command that writes to it has it: like an application server, it goes with the
// writer's role from one server to the other.
type platform struct {
	gate store.Gate
	db   *sql.DB // passes the gate
	done func() error
}

// writing opens the platform's database for a command that writes through so many connections. It refuses if the
// writer can't be told, or takes no writes.
func (c *settings) writing(ctx context.Context, log zerolog.Logger, connections int) (*platform, error) {
	if c.Changeover == nil {
		at, err := c.alone(ctx)
		if err != nil {
			return nil, err
		}
		db, err := store.Open(at)
		if err != nil {
			return nil, err
		}
		return &platform{store.Single(db, at.Addr()), db, db.Close}, nil
	}
	g, err := c.join(ctx, log.Level(zerolog.WarnLevel), connections)
	if err != nil {
		return nil, err
	}
	if _, err := c.writerOf(ctx, g); err != nil {
		return nil, errors.Join(err, g.Close())
	}
	return &platform{store.Gated(g), g.DB(), g.Close}, nil
}

// alone is the only server that the settings name. One that Changeover has taken the writer's role from is refused:
// what is written there would be lost.
func (c *settings) alone(ctx context.Context) (store.Server, error) {
	at, err := c.source()
	if err != nil {
		return at, err
	}
	one := at
	one.Connections = 1
	db, err := store.Open(one)
	if err != nil {
		return at, err
	}
	defer func() { _ = db.Close() }()
	var migration, writer string
	err = db.QueryRowContext(ctx, "SELECT migration, writer FROM `_changeover`.`route` WHERE writer <> side LIMIT 1").Scan(&migration, &writer)
	if err != nil {
		return at, nil // there is none, or the account may not read it; what keeps the command from its work it will meet itself
	}
	return at, fmt.Errorf("%s is not the writer any more: its route row of the migration %s names the %s. "+
		"Name both servers under 'changeover' in the settings, or the new one alone ('platform --help'); "+
		"a row that is left of a migration of other databases is deleted by 'changeover finish --forget'", at.Addr(), migration, writer)
}

// writerTime is how long a command looks for the writer.
const writerTime = 8 * time.Second

// writer is the server on which a command may change something: the only one, or the one that the
// route rows name, if it takes writes. Which server the settings name first decides nothing once
// there are rows: a schema that is migrated on the old writer would be lost.
func (c *settings) writer(ctx context.Context, log zerolog.Logger) (store.Server, error) {
	if c.Changeover == nil {
		return c.alone(ctx)
	}
	config, err := c.gate(log.Level(zerolog.WarnLevel))
	if err != nil {
		return store.Server{}, err
	}
	config.Connections = 1
	g, err := gate.Open(ctx, config)
	if err != nil {
		return store.Server{}, err
	}
	defer func() { _ = g.Close() }()
	side, err := c.writerOf(ctx, g)
	switch {
	case err != nil:
		return store.Server{}, err
	case side == gate.Target:
		return c.target()
	}
	return c.source()
}

// writerOf is the side that has the role, once it takes writes.
func (c *settings) writerOf(ctx context.Context, g *gate.Gate) (gate.Side, error) {
	ctx, cancel := context.WithTimeout(ctx, writerTime)
	defer cancel()
	in, err := g.Enter(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		return "", fmt.Errorf("it can't be told which server is the writer of the migration %s, or it takes no writes: "+
			"both servers are asked for their route rows. During a cutover this lasts a moment: try again; 'changeover route' shows the rows", c.Changeover.Migration)
	}
	if err != nil {
		return "", err
	}
	in.Abandon()
	return g.Route().Side, nil
}
