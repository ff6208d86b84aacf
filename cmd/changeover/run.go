package main

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"changeover/cdc"
	"changeover/cdc/plan"
	"changeover/cutover"
	"changeover/internal/config"
	"changeover/internal/control"
	"changeover/internal/fault"
	"changeover/verify"
)

func newRunCommand(g *globals) *cobra.Command {
	var until string
	var skipPlan, standby bool
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Copy the databases, then keep the target equal to the source",
		Long: `Run makes the tables on the target, copies their rows while the source goes on, and applies
what the source writes meanwhile and from then on. Behind the copy it compares every row of both
sides, and again what the source writes ("changeover verify" shows it). It needs nobody: stop it, kill it, restart the
machine; the next run goes on where the last one was, and each change arrives exactly once.

It first runs the checks of "changeover plan" and refuses to start if one of them blocks.
While it runs, "changeover status --watch" shows how far it is; pause and resume hold the copy.

Exit codes: 0 done as --until says, or ended by Ctrl-C; 1 the plan blocks, or --until verified finds
rows that differ; 2 it stopped, with the
reason; 78 the configuration is not valid.`,
		Example: `  changeover run -c changeover.yaml                     # until you stop it
  changeover run -c changeover.yaml --until copied      # the copy only
  changeover run -c changeover.yaml --until caught-up   # until the target has all that was committed
  changeover run -c changeover.yaml --until verified    # until every row of both sides was compared`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			end, ok := map[string]cdc.Until{"": cdc.Forever, "copied": cdc.Copied, "caught-up": cdc.CaughtUp, "verified": cdc.Verified}[until]
			if !ok {
				return fault.New(fault.Usage, "--until is copied, caught-up or verified, not %q", until)
			}
			cfg, err := g.load()
			if err != nil {
				return err
			}
			if standby && end != cdc.Forever {
				return fault.New(fault.Usage, "--standby and --until exclude each other")
			}
			if !skipPlan && !standby {
				if err := g.mustPass(cmd.Context(), cfg); err != nil {
					return err
				}
			}
			return runMigration(cmd.Context(), cfg, end, standby, g.log(cmd.ErrOrStderr()))
		},
	}
	cmd.Flags().StringVar(&until, "until", "", "stop by itself: copied, caught-up or verified")
	cmd.Flags().BoolVar(&standby, "standby", false, "wait, and take over when the run that is there has died or said nothing for 3 s")
	cmd.Flags().BoolVar(&skipPlan, "skip-plan", false, "don't run the checks of plan first")
	return cmd
}

// mustPass runs the plan and fails if it blocks, with all that does.
func (g *globals) mustPass(ctx context.Context, cfg *config.Config) error {
	report, err := plan.Run(ctx, cfg)
	if err != nil {
		return err
	}
	blocks := report.Blocking()
	if len(blocks) == 0 {
		return nil
	}
	text := ""
	for _, f := range blocks {
		text += fmt.Sprintf("\n  %s %s", f.Code, f.Detail)
	}
	return fault.New(fault.PlanBlocked, "the plan finds %d things that block this migration:%s\n", len(blocks), text)
}

// memoryReserve is what the process needs beside transactions and chunks.
const memoryReserve = 96 << 20

func runMigration(ctx context.Context, cfg *config.Config, until cdc.Until, standby bool, log zerolog.Logger) error {
	debug.SetMemoryLimit(int64(cfg.Apply.Memory) + memoryReserve)
	api, err := control.Listen(cfg.Listen, cfg.StateDir)
	if err != nil {
		return err
	}
	defer func() { _ = api.Close() }()
	verifier := verify.New(verifierConfig(cfg, log))
	opts, err := officeOptions(cfg, until, verifier, log)
	if err != nil {
		return err
	}
	opts.Stream.Control, opts.Held, opts.Standby, opts.Tap = api.Address(), api.Announce, standby, tap()
	if until == cdc.Forever { // one that ends by itself passes no role
		b, closes, err := openBus(cfg, log)
		if err != nil {
			return err
		}
		defer closes()
		opts.Bus = b
	}
	log.Info().Str("migration", cfg.Migration).Str("control", api.Address()).Msg("run begins")
	c := cutover.New(opts)
	ctx, stop := context.WithCancel(ctx)
	g, ctx := errgroup.WithContext(ctx)
	none := cdc.Status{Migration: cfg.Migration, Phase: "starting", Source: opts.Stream.Source.Addr(), Target: opts.Stream.Target.Addr(), Started: time.Now(),
		Waiting: []string{}, Tables: []cdc.TableStatus{}, Workers: []cdc.WorkerShare{}}
	g.Go(func() error {
		return control.Serve(ctx, api, office{c, none}, append(verifyRoutes(verifier), attemptRoutes(c)...)...)
	})
	g.Go(func() error {
		defer stop()
		return c.Run(ctx)
	})
	began := time.Now()
	err = g.Wait()
	if errors.Is(err, context.Canceled) {
		log.Info().Msg("stopped; the next run goes on from here")
		return nil
	}
	if err == nil {
		log.Info().Dur("took", time.Since(began)).Msg("done")
	}
	return err
}

// officeOptions are the coordinator's by the configuration.
func officeOptions(cfg *config.Config, until cdc.Until, verifier *verify.Verifier, log zerolog.Logger) (cutover.Options, error) {
	stream, err := runnerOptions(cfg, until, log)
	if err != nil {
		return cutover.Options{}, err
	}
	set, err := hooks(cfg)
	if err != nil {
		return cutover.Options{}, err
	}
	return cutover.Options{Stream: stream, Verifier: verifier, Hold: cfg.Cutover.Hold, Fence: cfg.Cutover.Fence, Operators: cfg.Cutover.Operators, Hooks: set, Log: log}, nil
}

func runnerOptions(cfg *config.Config, until cdc.Until, log zerolog.Logger) (cdc.Options, error) {
	from, err := cfg.SourceEndpoint()
	if err != nil {
		return cdc.Options{}, err
	}
	to, err := cfg.TargetEndpoint()
	if err != nil {
		return cdc.Options{}, err
	}
	return cdc.Options{Migration: cfg.Migration, Source: from, Target: to, Databases: cfg.Databases, InScope: cfg.InScope,
		Scope:       fmt.Sprintf("include %q exclude %q", cfg.Tables.Include, cfg.Tables.Exclude),
		CopyWorkers: cfg.Copy.Workers, Chunk: int64(cfg.Copy.Chunk), CopyRate: int64(cfg.Copy.Rate), ApplyWorkers: cfg.Apply.Workers, Memory: int64(cfg.Apply.Memory),
		Definers: plan.DefinerPolicy(cfg.Definers.Missing), Until: until, Log: log}, nil
}

// verifyMemory is the part of apply.memory that keys may hold which are to be compared again.
const verifyMemory = 16

func verifierConfig(cfg *config.Config, log zerolog.Logger) verify.Config {
	return verify.Config{Parallel: cfg.Verify.Parallel, Share: float64(cfg.Verify.Share) / 100, MaxRunning: cfg.Verify.MaxRunning,
		Memory: int64(cfg.Apply.Memory) / verifyMemory, Every: cfg.Verify.Every, Repair: cfg.Verify.Repair, Log: log}
}
