package bus

import (
	"os"

	"github.com/nats-io/nkeys"

	"changeover/internal/fault"
)

// NewKey makes an nkey for one end of the bus. The seed goes into file, mode 0600, which must not
// be there yet; the public key (U…) is given back, for whoever decides who may join.
func NewKey(file string) (string, error) {
	pair, err := nkeys.CreateUser()
	if err != nil {
		return "", fault.New(fault.BusKey, "make an nkey: %w", err)
	}
	defer pair.Wipe()
	public, err := pair.PublicKey()
	if err != nil {
		return "", fault.New(fault.BusKey, "make an nkey: %w", err)
	}
	seed, err := pair.Seed()
	if err != nil {
		return "", fault.New(fault.BusKey, "make an nkey: %w", err)
	}
	if err := writeNew(file, append(seed, '\n')); err != nil {
		return "", fault.New(fault.BusKey, "write an nkey: %w", err)
	}
	return public, nil
}

func writeNew(file string, text []byte) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if _, err := f.Write(text); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}
