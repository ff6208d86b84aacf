package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"changeover/cutover/bus"
)

func newNKeyCommand() *cobra.Command {
	return &cobra.Command{
		Use: "nkey FILE", Short: "Make a key for one end of the bus", Args: cobra.ExactArgs(1),
		Long: `Nkey makes the key by which a gate, or the coordinator, shows who it is on a bus that is not on loopback
(docs/bus.md). The secret goes into FILE, mode 0600, which must not be there yet; the public key is printed: it goes
into bus.nkeys, or into the cluster's configuration.`,
		Example: "  changeover nkey coordinator.nkey",
		RunE: func(cmd *cobra.Command, args []string) error {
			public, err := bus.NewKey(args[0])
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), public)
			return err
		},
	}
}
