// Command sample is an application that embeds a gate: the least that one has to do to be moved.
//
//	sample MIGRATION SOURCE-DSN TARGET-DSN
//
// It notes one line in the table `notes`, which it makes if need be.
package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/go-sql-driver/mysql"

	"changeover/cutover/bus"
	"changeover/cutover/gate"
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "sample:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) != 3 {
		return errors.New("usage: sample MIGRATION SOURCE-DSN TARGET-DSN")
	}
	source, err := server(args[1])
	if err != nil {
		return err
	}
	target, err := server(args[2])
	if err != nil {
		return err
	}
	log := slog.Default()
	g, err := gate.Open(ctx, gate.Config{
		Migration: args[0], Source: source, Target: target, Connections: 4,
		Bus: bus.New(bus.Options{Log: log}), Log: log,
	})
	if err != nil {
		return err
	}
	defer func() { _ = g.Close() }()

	// New code: the function may run more than once, the operation's id makes sure that it takes effect once.
	if _, err := g.DB().ExecContext(ctx, "CREATE TABLE IF NOT EXISTS notes (op VARCHAR(26) PRIMARY KEY, line TEXT)"); err != nil {
		return err
	}
	op := rand.Text()
	if err := g.WriteOp(ctx, gate.OperationIn("notes", "op", op), func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO notes (op, line) VALUES (?, ?)", op, "written at "+time.Now().Format(time.TimeOnly))
		return err
	}); err != nil {
		return err
	}

	// Code that exists goes on with a *sql.DB.
	var n int
	if err := g.DB().QueryRowContext(ctx, "SELECT COUNT(*) FROM notes").Scan(&n); err != nil {
		return err
	}
	fmt.Printf("%d notes; the writer is the %s\n", n, g.Route().Side)
	return nil
}

// server is one of the two. A COMMIT can't be cancelled by a context: without a readTimeout a server that answers nothing
// holds it, and the connection, for ever.
func server(dsn string) (gate.Server, error) {
	c, err := mysql.ParseDSN(dsn)
	if err != nil {
		return gate.Server{}, err
	}
	if c.ReadTimeout == 0 || c.Timeout == 0 {
		return gate.Server{}, errors.New("the DSN needs timeout=3s&readTimeout=30s, or as long as the longest statement takes")
	}
	connector, err := mysql.NewConnector(c)
	return gate.Server{Connector: connector, Address: c.Addr}, err
}
