package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"changeover/cutover/bus"
	"changeover/cutover/bus/bustest"
	"changeover/cutover/bus/hub"
	"changeover/platform/platformtest"
)

// secured puts bus settings into a file of settings for a pair, and what they name beside it.
func secured(t *testing.T, file string, ca []byte, nkey string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	seed, err := os.ReadFile(nkey)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		filepath.Base(file): strings.Replace(string(text), "changeover: {", "changeover: {bus: {ca_file: bus.pem, nkey_file: app.nk}, ", 1),
		"bus.pem":           string(ca),
		"app.nk":            string(seed),
	} {
		if err := os.WriteFile(filepath.Join(filepath.Dir(file), name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return file
}

// A bus for servers on other machines has TLS and knows nkeys. A server whose settings have the right ones is held; one with
// another nkey, and one with another authority, are not let in, and go with the database by the route rows.
func TestAServerJoinsABusBeyondItsMachineByItsSettings(t *testing.T) {
	p := platformtest.NewPair(t)
	certificate := bustest.NewCertificate(t)
	own, ownPublic := bustest.NewKey(t)
	app, appPublic := bustest.NewKey(t)
	stranger, _ := bustest.NewKey(t)
	h, err := hub.Listen(hub.Options{Address: "0.0.0.0:0", Advertise: "localhost", TLS: certificate.Server, Keys: []string{ownPublic, appPublic}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	desk, err := bus.Open(t.Context(), h.Address(), platformtest.Migration, bus.Options{TLS: certificate.Client, NKeySeedFile: own})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(desk.Close)
	p.Bus = bustest.Rig{Hub: h, Desk: desk, Address: h.Address()}
	p.Replicate(t)
	inside := started(t, secured(t, moving(t, p), certificate.PEM, app))
	outside := []string{
		started(t, secured(t, moving(t, p), certificate.PEM, stranger)),
		started(t, secured(t, moving(t, p), bustest.NewCertificate(t).PEM, app)),
	}
	for _, url := range append(outside, inside) {
		guest(t, url)
		metric(t, url, "platform_epoch 1")
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if gates := desk.Gates(); len(gates) == 1 && gates[0].CanHold {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("the coordinator sees %+v", desk.Gates())
		}
	}
	release := p.Hold(t)
	metric(t, inside, "platform_hold 1")
	for _, url := range outside {
		metric(t, url, "platform_hold 0")
	}
	release()
	metric(t, inside, "platform_hold 0")
	p.Flip(t, platformtest.Held)
	for _, url := range append(outside, inside) {
		if e := guest(t, url).Header.Get("Epoch"); e != "2" {
			t.Errorf("the epoch is %s after the flip", e)
		}
	}
	if gates := desk.Gates(); len(gates) != 1 {
		t.Errorf("the coordinator sees %+v", gates)
	}
}
