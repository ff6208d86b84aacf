package main

import (
	"context"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"changeover/platform/store"
)

// adminCommand is `platform admin`; open opens the platform's database for so many connections.
func adminCommand(open func(ctx context.Context, connections int) (*platform, error)) *cobra.Command {
	return &cobra.Command{
		Use:   "admin LOGIN",
		Short: "Make the account of that name an admin",
		Long:  "Admin makes an account that somebody has signed up for an admin: it sees /admin, and may hold sections.",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := open(cmd.Context(), 2)
			if err != nil {
				return err
			}
			defer func() { _ = p.done() }()
			return store.New(p.gate, zerolog.Nop()).MakeAdmin(cmd.Context(), args[0])
		},
	}
}
