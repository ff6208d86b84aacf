package main

import (
	"context"
	"database/sql"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"changeover/platform/store"
)

func adminCommand(open func(context.Context) (*sql.DB, error)) *cobra.Command {
	return &cobra.Command{
		Use:   "admin LOGIN",
		Short: "Make the account of that name an admin",
		Long:  "Admin makes an account that somebody has signed up for an admin: it sees /admin, and may hold sections.",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			db, err := open(cmd.Context())
			if err != nil {
				return err
			}
			defer func() { _ = db.Close() }()
			return store.New(store.Single(db, ""), zerolog.Nop()).MakeAdmin(cmd.Context(), args[0])
		},
	}
}
