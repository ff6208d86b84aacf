package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sort"
	"time"

	"github.com/spf13/cobra"

	"changeover/cutover"
	"changeover/cutover/helm"
	"changeover/internal/config"
	"changeover/internal/fault"
	"changeover/internal/server"
)

func newHistoryCommand(g *globals) *cobra.Command {
	var asJSON bool
	var n int
	cmd := &cobra.Command{
		Use: "history", Short: "Show each attempt with its timeline", Args: cobra.NoArgs,
		Long: `History reads the records of all rehearsals, cutovers and rollbacks, the newest first: each step with
its milliseconds, the hold as the gates measured it, the proof, and why it was refused or undone. It
reads either server, whichever answers, and needs no running migration.

Exit codes: 0 answered; 2 neither server could be asked.`,
		Example: "  changeover history\n  changeover history -n 1 --json | jq .[0].hold_ms",
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := g.load()
			if err != nil {
				return err
			}
			if n < 1 || n > 10000 {
				return fault.New(fault.Usage, "-n is 1 to 10000, not %d", n)
			}
			all, err := history(cmd.Context(), cfg, n)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), all)
			}
			if len(all) == 0 {
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s has no attempt yet\n", cfg.Migration)
				return err
			}
			for _, r := range all {
				if _, err := io.WriteString(cmd.OutOrStdout(), recordText(r)+"\n"); err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "answer in JSON (docs/cutover.md)")
	cmd.Flags().IntVarP(&n, "last", "n", 10, "how many")
	return cmd
}

// sides opens what can be reached of the two servers; an error only if that is neither.
func sides(ctx context.Context, cfg *config.Config) (open map[helm.Side]*sql.DB, why map[helm.Side]error, err error) {
	open, why = map[helm.Side]*sql.DB{}, map[helm.Side]error{}
	for side, at := range map[helm.Side]func() (server.Endpoint, error){helm.Source: cfg.SourceEndpoint, helm.Target: cfg.TargetEndpoint} {
		e, err := at()
		if err != nil {
			return nil, nil, err
		}
		db, err := server.Dial(ctx, e, server.Session{Connections: 1})
		if err != nil {
			why[side] = err
			continue
		}
		open[side] = db
	}
	if len(open) == 0 {
		return nil, nil, errors.Join(why[helm.Source], why[helm.Target])
	}
	return open, why, nil
}

func history(ctx context.Context, cfg *config.Config, n int) ([]*cutover.Record, error) {
	open, _, err := sides(ctx, cfg)
	if err != nil {
		return nil, err
	}
	// Both have them; one may have missed some while it was away.
	by := map[uint64]*cutover.Record{}
	for _, db := range open {
		documents, err := helm.Records(ctx, db, cfg.Migration, n)
		_ = db.Close()
		if err != nil {
			return nil, err
		}
		for _, d := range documents {
			r := new(cutover.Record)
			if err := json.Unmarshal(d, r); err != nil {
				return nil, fmt.Errorf("read an attempt's record: %w", err)
			}
			by[r.Attempt] = r
		}
	}
	all := make([]*cutover.Record, 0, len(by))
	for _, r := range by {
		all = append(all, r)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Attempt > all[j].Attempt })
	return all[:min(n, len(all))], nil
}

// routeAnswer is the answer of `route --json`.
type routeAnswer struct {
	Writer helm.Side   `json:"writer,omitempty"` // by the row with the higher epoch
	Epoch  uint64      `json:"epoch"`
	Rows   []routeSide `json:"rows"`
}

type routeSide struct {
	Server helm.Side   `json:"server"`
	Row    *helm.Route `json:"row,omitempty"` // nil: it has none
	Error  string      `json:"error,omitempty"`
}

func newRouteCommand(g *globals) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "route", Short: "Show who the writer is, by the route rows of both servers", Args: cobra.NoArgs,
		Long: `Route reads the row on each server by which gates know whom to write to. The one with the higher epoch
is right. It needs no running migration.

Exit codes: 0 answered; 2 neither server could be asked.`,
		Example: "  changeover route\n  changeover route --json | jq -r .writer",
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := g.load()
			if err != nil {
				return err
			}
			a, err := routes(cmd.Context(), cfg)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), a)
			}
			return printRoutes(cmd.OutOrStdout(), a)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "answer in JSON (docs/cutover.md)")
	return cmd
}

func routes(ctx context.Context, cfg *config.Config) (a routeAnswer, err error) {
	open, why, err := sides(ctx, cfg)
	if err != nil {
		return a, err
	}
	for _, side := range []helm.Side{helm.Source, helm.Target} {
		s := routeSide{Server: side}
		if err := why[side]; err != nil {
			s.Error = err.Error()
		} else {
			row, ok, err := helm.ReadRoute(ctx, open[side], cfg.Migration)
			_ = open[side].Close()
			if err != nil {
				s.Error = err.Error()
			}
			if ok {
				s.Row = &row
				if row.Epoch > a.Epoch {
					a.Epoch, a.Writer = row.Epoch, row.Writer
				}
			}
		}
		a.Rows = append(a.Rows, s)
	}
	return a, nil
}

func printRoutes(w io.Writer, a routeAnswer) error {
	text := "no route row: no application has been routed\n"
	if a.Writer != "" {
		text = fmt.Sprintf("the %s is the writer (epoch %d)\n", a.Writer, a.Epoch)
	}
	for _, s := range a.Rows {
		switch {
		case s.Error != "":
			text += fmt.Sprintf("%-7s %s\n", s.Server, s.Error)
		case s.Row == nil:
			text += fmt.Sprintf("%-7s has no row\n", s.Server)
		default:
			text += fmt.Sprintf("%-7s names the %s, epoch %d, attempt %d, written %s UTC\n", s.Server, s.Row.Writer, s.Row.Epoch, s.Row.Attempt, s.Row.Updated.Format(time.DateTime))
		}
	}
	_, err := io.WriteString(w, text)
	return err
}

func newSettleCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use: "settle", Short: "Settle what a dead coordinator left, by hand", Args: cobra.NoArgs,
		Long: `Settle does what the next "changeover run", or a standby, does first: an attempt that was left open is
aborted, and both servers are made what their registers say. Use it where no run can be started. It
refuses while a run lives. A server that can't be reached is left for later, and said so.

Exit codes: 0 settled; 2 it could not be done, or only on one side.`,
		Example: "  changeover settle",
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := g.load()
			if err != nil {
				return err
			}
			opts, err := officeOptions(cfg, 0, nil, g.log(cmd.ErrOrStderr()))
			if err != nil {
				return err
			}
			s, err := cutover.New(opts).Settle(cmd.Context())
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "settled: the %s is the writer (epoch %d)\n", s.Writer, s.Epoch)
			return err
		},
	}
}
